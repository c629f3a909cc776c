// Functions of a script that are told what has happened, by its name as their argument: what becomes of dialogs
// (`ims_dialog.event_callback`), and contacts whose time is over (`registrar.event_callback`). They see a request of
// nobody's; what they say of it is nobody's either, and they cannot wait.

internal import Dialogs
internal import Primitives
internal import Routes
internal import SIP

extension ScriptJudge {
    func tell(_ event: [UInt8], about did: DialogID, with message: Message, to callback: [UInt8], _ time: RouteTime) {
        begin(message, did, time)
        engine.host.run.plan.dialogs.current = did
        _ = runAtOnce(callback, argument: event)  // A failure is for the log.
        goOnWithSuspended(time)
    }

    /// `$ulc(exp=>…)` is the contact.
    func tell(of contact: ExpiredContact, with message: Message, to callback: [UInt8], _ time: RouteTime) {
        begin(message, nil, time)
        engine.host.run.putAside(contact, as: [UInt8](copying: "exp"))
        _ = runAtOnce(callback, argument: [UInt8](copying: "usrloc:contact-expired"))  // A failure is for the log.
        goOnWithSuspended(time)
    }

    private func begin(_ message: Message, _ did: DialogID?, _ time: RouteTime) {
        let socket = sockets.first ?? Endpoint(address: Address(ipv4: 0), port: 5_060)
        var point = RoutePoint(kind: .event, source: socket, socket: socket)
        point.did = did
        engine.host.run.begin(message, at: point, state: RouteState(), time: time)
    }
}
