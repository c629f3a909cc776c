// Each rule bites: a sample that breaks it is caught, and one beside it that does not is let be.

import Testing

@Suite("The house rules themselves")
struct RuleTests {
    private func source(_ text: String, _ path: String = "Sources/SIP/Sample.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    @Test(arguments: [
        ("import Dialogs", true), ("package import Node", true), ("@preconcurrency import Foundation", true),
        ("internal import struct Foundation.URL", true), ("import Primitives", false), ("// import Node", false),
        ("package import Primitives", false),
    ])
    func `an import against the arrows is caught`(line: String, wrong: Bool) {
        #expect(Checks.wrongImports(source(line)).isEmpty != wrong)
    }

    @Test func `a module without arrows may import nothing`() {
        #expect(!Checks.wrongImports(source("import Primitives", "Sources/Helpers/A.swift")).isEmpty)
        #expect(Checks.wrongImports(source("import Foundation", "Tests/SIPTests/A.swift")).isEmpty)
    }

    @Test(arguments: [
        ("let now = ContinuousClock.now", true), ("let a = Int.random(in: 0..<3)", true),
        ("let a = Int.random(in: 0..<3, using: &generator)", false), ("names.shuffle()", true),
        ("Task { run() }", true),
        ("let lock = Mutex<Int>(0)", true), ("print(message)", true), ("writer.print(message)", false),
        ("// never print(message)", false), ("let text = \"print(1)\"", false), ("let actor = rank(did)", false),
        ("package actor Node {", true), ("unsafe pointer.pointee", true), ("await next()", true),
        ("var generator = SystemRandomNumberGenerator()", true),
    ])
    func `an impurity in the core is caught`(line: String, wrong: Bool) {
        #expect(Checks.impurities(source(line)).isEmpty != wrong)
        #expect(Checks.impurities(source(line, "Sources/Transports/Sample.swift")).isEmpty)
    }

    @Test func `a long file, a wide line and a missing comment are caught`() {
        let comment = "// What it is for.\n"
        #expect(Checks.shape(source(comment)).isEmpty)
        #expect(!Checks.shape(source("import Primitives\n")).isEmpty)
        #expect(Checks.shape(source(comment + String(repeating: "\n", count: 499))).isEmpty)
        #expect(!Checks.shape(source(comment + String(repeating: "\n", count: 500))).isEmpty)
        #expect(Checks.shape(source("//" + String(repeating: "x", count: 118))).isEmpty)
        #expect(!Checks.shape(source("//" + String(repeating: "x", count: 119))).isEmpty)
    }

    @Test func `a function of 71 lines is caught, one of 70 is not`() {
        func sample(_ lines: Int) -> SourceFile {
            source(
                "struct A {\n    func long(a: [Int] = [1]) {\n" + String(repeating: "{ }\n", count: lines - 2)
                    + "}\n}\n")
        }
        #expect(FunctionLengths.tooLong(sample(70)).isEmpty)
        #expect(FunctionLengths.tooLong(sample(71)).map(\.line) == [2])
    }

    @Test func `functions are found with their lengths, requirements are not`() {
        let text = """
            protocol P {
                func required(_ a: Int) -> Int
                init(b: Int)
            }
            struct S: P {
                init(b: Int) { self.b = b }
                func required(_ a: Int) -> Int {
                    let closure = { (x: Int) in x }  // }
                    return closure(a) + "}".count
                }
                init?(c: Int) {
                    self.init(b: c)
                }
            }
            """
        let found = FunctionLengths.functions(in: text)
        #expect(found.map(\.name) == ["init", "required", "init"])
        #expect(found.map(\.length) == [1, 4, 3])
        #expect(found.map(\.line) == [6, 7, 11])
    }

    @Test func `unfinished work without an issue is caught`() {
        let mark = "TO" + "DO"
        #expect(!Checks.unownedTasks(source("// \(mark): later")).isEmpty)
        #expect(Checks.unownedTasks(source("// \(mark)(#12): later")).isEmpty)
    }

    @Test func `a machine's path is caught`() {
        #expect(!Checks.machinePaths(source("// see /wo" + "rk/main/Sources")).isEmpty)
        #expect(Checks.machinePaths(source("// see Sources/SIP")).isEmpty)
    }

    @Test func `comments and strings are blanked in place`() {
        let text = "a /* b /* c */ d */ e // f\n\"g\\\"h\" i \"\"\"\nj\n\"\"\" k"
        let code = CodeText.code(of: text)
        #expect(code.count == text.count)
        #expect(code.filter { !$0.isWhitespace } == "aeik")
        #expect(code.filter { $0 == "\n" }.count == 3)
    }
}
