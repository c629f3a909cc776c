// The script that simulated nodes run where one is asked for: one of our own, which does what scripts do and what they
// should not, or a text that is given, such as Debian's for Kamailio.
//
// Ours waits within a third of the INVITEs, fails in the branch and response routes of another third, and answers
// requests for certain users oddly (`odd`): each by a name, so that whoever asks knows what is to come. It walks tables
// with `pairs` and draws numbers, which are in what leaves: two runs of a seed differ if any of it is not replayed.

package enum SimulatedScript: Equatable, Sendable {
    case own
    /// A file's text.
    case given(name: String, text: [UInt8])

    /// The command line's word for it.
    package var word: String {
        switch self {
        case .own: "own"
        case .given(let name, _): name
        }
    }

    var text: [UInt8] {
        switch self {
        case .own: Array(Self.ownText.utf8)
        case .given(_, let text): text
        }
    }

    /// Requests for these users are answered so by ours, whoever is registered.
    static let odd: [(user: String, status: Int)] = [
        ("error", 500), ("loop", 500), ("memory", 500), ("deep", 500), ("require", 500), ("edit", 500), ("sleep", 202),
        ("caught", 486),
    ]

    private static let ownText = """
        local function deep() return 1 + deep() end
        local odd = {
          error = function() error("raised") end,
          loop = function() while true do end end,
          memory = function() return string.rep("x", 1e9) end,
          deep = deep,
          require = function() return require("no.such.module") end,
          edit = function() KSR.hdr.append("this is no header") end,
          sleep = function() KSR.cfgutils.usleep(300000) KSR.sl.send_reply(202, "Slept") end,
          caught = function()
            pcall(function() KSR.sl.send_reply(486, "Busy") KSR.x.exit() end)
            error("behind an exit")
          end,
        }
        local marks = { a = 1, b = 2, c = 3, d = 4, e = 5 }
        local function kind()
          return (tonumber(string.match(KSR.pv.gete("$tU"), "(%d+)$") or "0")) % 3
        end
        function ksr_request_route()
          if KSR.siputils.has_totag() > 0 then
            if KSR.rr.loose_route() > 0 then
              KSR.tm.t_on_reply("in_reply")
              KSR.tm.t_relay()
            elseif not KSR.is_ACK() then
              KSR.sl.send_reply(404, "Not here")
            end
            return 1
          end
          if KSR.is_REGISTER() then
            if KSR.registrar.save("location", 0) < 0 then KSR.sl.sl_reply_error() end
            return 1
          end
          local user = KSR.pv.gete("$rU")
          if odd[user] then return odd[user]() end
          KSR.hdr.remove("Route")
          local order = ""
          for name in pairs(marks) do order = order .. name end
          KSR.hdr.append("X-Order: " .. order .. math.random(1000) .. " " .. os.time() .. "\\r\\n")
          if KSR.is_method_in("IS") then KSR.rr.record_route() end
          if KSR.is_myself_ruri() then
            local found = KSR.registrar.lookup("location")
            if found < 0 then
              KSR.sl.send_reply(found == -2 and 405 or 404, "Not found")
              return 1
            end
          elseif KSR.is_INVITE() and kind() == 1 then
            KSR.cfgutils.usleep(120000)
          end
          KSR.tm.t_on_branch("in_branch")
          KSR.tm.t_on_reply("in_reply")
          KSR.tm.t_on_failure("in_failure")
          if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
        end
        function in_branch()
          if kind() == 2 then error("raised in the branch route") end
          if kind() == 1 then KSR.cfgutils.usleep(20000) end
        end
        function in_reply()
          if kind() == 2 then error("raised in the reply route") end
          KSR.hdr.append("X-Seen: " .. KSR.kx.get_status() .. "\\r\\n")
        end
        function in_failure()
          if kind() == 2 then error("raised in the failure route") end
          if KSR.tm.t_is_canceled() > 0 then return end
        end
        function on_local(event) KSR.hdr.append("X-Event: " .. event .. "\\r\\n") end
        function on_contact(event) KSR.info(event) end
        """
}
