// The board of targets by itself: orders of each policy, what goes down and comes back, and what a reload keeps.

import Primitives
import Proxy
import SIP
import Testing

@Suite("The board of targets")
struct TargetBoardTests {
    private static func set(
        _ name: String, _ count: Int, _ policy: TargetPolicy = .failover, change: (inout TargetSet) -> Void = { _ in }
    ) -> TargetSet {
        var set = TargetSet(
            name: name,
            targets: (1...count).map { number in
                TargetSet.Target(
                    uri: Array("sip:\(name)\(number)@10.0.0.\(number)".utf8), namesUser: true,
                    endpoint: Endpoint(text: "10.0.0.\(number):5060"))
            })
        set.policy = policy
        change(&set)
        return set
    }

    private static let draw = TargetDraw(hash: KeyedHash(key0: 1, key1: 2), member: 7, call: 11)

    private func positions(_ board: inout TargetBoard, _ now: Instant = .zero) -> [Int] {
        board.order(ofSet: 0, Self.draw, now: now).targets.map(\.position)
    }

    @Test func `failover goes by q, then as listed; parallel tries the same q together`() {
        var board = TargetBoard(
            [
                Self.set("a", 3) {
                    $0.targets[2].q = 1_000; $0.targets[0].q = 500
                }
            ], now: .zero)
        #expect(positions(&board) == [1, 2, 0])
        var parallel = TargetBoard([Self.set("a", 3, .parallel) { $0.targets[2].q = 300 }], now: .zero)
        #expect(parallel.order(ofSet: 0, Self.draw, now: .zero).targets.map(\.group) == [0, 0, 700])
    }

    @Test func `round-robin begins with the next one each time`() {
        var board = TargetBoard([Self.set("a", 3, .roundRobin)], now: .zero)
        #expect((0..<4).map { _ in positions(&board) } == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])
    }

    @Test func `weight draws anew each time, by the seed alone; hash draws the same for a call on every node`() {
        var (one, other) = (
            TargetBoard([Self.set("a", 5, .weight)], now: .zero), TargetBoard([Self.set("a", 5, .weight)], now: .zero)
        )
        let drawn = (0..<20).map { _ in positions(&one) }
        #expect(drawn == (0..<20).map { _ in positions(&other) })
        #expect(Set(drawn).count > 1 && drawn.allSatisfy { $0.sorted() == [0, 1, 2, 3, 4] })
        var hashed = TargetBoard([Self.set("a", 5, .hash)], now: .zero)
        let there = TargetDraw(hash: KeyedHash(key0: 1, key1: 2), member: 8, call: 11)
        #expect(positions(&hashed) == hashed.order(ofSet: 0, there, now: .zero).targets.map(\.position))
    }

    @Test func `a target that fails is left out and tried again after 30 s; when all are down all are tried`() {
        var board = TargetBoard([Self.set("a", 2) { $0.downAfter = 2 }], now: .zero)
        let number = board.number(ofSet: 0, 0)
        #expect(board.noteBranch(number, .failed, isSilent: true, now: .zero) == .none)
        #expect(board.noteBranch(number, .failed, isSilent: false, now: .zero) == .none, "503: it is there")
        #expect(board.noteBranch(number, .failed, isSilent: true, now: .zero) == .down)
        #expect(positions(&board) == [1])
        #expect(positions(&board, Instant.zero.advanced(by: .seconds(30))) == [0, 1])
        _ = board.note(board.number(ofSet: 0, 1), isUp: false, now: .zero)
        _ = board.note(board.number(ofSet: 0, 1), isUp: false, now: .zero)
        let order = board.order(ofSet: 0, Self.draw, now: .zero)
        #expect(order.allDown && order.targets.map(\.position) == [0, 1])
        #expect(board.note(number, isUp: true, now: .zero) == .up)
        #expect(board.statuses(now: .zero).map(\.isUp) == [true, false])
        #expect(board.statuses(now: .zero)[0].requests == 3 && board.statuses(now: .zero)[0].silences == 2)
    }

    @Test func `a reload keeps what is known of a target that stays, and no number of before it names one`() {
        var board = TargetBoard([Self.set("a", 2) { $0.downAfter = 1 }], now: .zero)
        let old = board.number(ofSet: 0, 1)
        #expect(board.note(old, isUp: false, now: .zero) == .down)
        var changed = Self.set("a", 3) { $0.downAfter = 1 }
        changed.targets.removeFirst()
        board.replace(with: [Self.set("b", 1), changed], now: .zero)
        #expect(board.statuses(now: .zero).map(\.isUp) == [true, false, true])
        #expect(board.target(old) == nil && board.note(old, isUp: true, now: .zero) == .none)
        #expect(board.target(board.number(ofSet: 1, 0))?.set.name == "a")
    }
}
