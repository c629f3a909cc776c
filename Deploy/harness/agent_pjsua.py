#!/usr/bin/env python3
"""usage: agent_pjsua.py udp|tcp|tls HOST PORT PROXY_URI TLS_FOLDER [listening]

A PJSUA2 telephone without sound, told by lines on standard input (`call URI`, `hold`, `hangup`, `quit`). It says what
it saw in lines that begin with `@`: ready, incoming, established, held, released CODE. It answers what comes in. It may
have several calls; `hold` and `hangup` mean all of them. Its Contact names its end of a connection, as PJSUA2 likes it;
with `listening` the port that it listens on.
"""

import sys
import threading

import pjsua2 as pj


def say(text):
    sys.stderr.flush()
    print("@" + text, flush=True)


class Call(pj.Call):
    def __init__(self, telephone, call_id=pj.PJSUA_INVALID_ID):
        pj.Call.__init__(self, telephone.account, call_id)
        self.telephone = telephone

    def onCallState(self, _):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            say("established")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            say(f"released {info.lastStatusCode} {info.lastReason}")
            self.telephone.over(self)

    def onCallMediaState(self, _):
        info = self.getInfo()  # Kept by name: its list of media dies with it.
        for media in info.media:
            if media.status in (pj.PJSUA_CALL_MEDIA_LOCAL_HOLD, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                say("held")


class Account(pj.Account):
    telephone = None

    def onIncomingCall(self, parameters):
        say("incoming")
        call = Call(self.telephone, parameters.callId)
        self.telephone.calls.append(call)
        answer = pj.CallOpParam()
        answer.statusCode = 180
        call.answer(answer)
        answer.statusCode = 200
        call.answer(answer)


class Telephone:
    def __init__(self, transport, host, port, proxy, tls_folder, is_listening):
        self.calls, self.ended = [], []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        settings = pj.EpConfig()
        settings.logConfig.level = settings.logConfig.consoleLevel = 5
        settings.uaConfig.threadCnt = 0
        settings.uaConfig.maxCalls = 32
        settings.uaConfig.mainThreadOnly = True
        self.endpoint.libInit(settings)
        kind = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}[transport]
        listener = pj.TransportConfig()
        listener.boundAddress, listener.port = host, port
        if transport == "tls":
            listener.tlsConfig.CaListFile = f"{tls_folder}/ca.pem"
            listener.tlsConfig.certFile = f"{tls_folder}/peer.pem"
            listener.tlsConfig.privKeyFile = f"{tls_folder}/peer.key"
            listener.tlsConfig.verifyServer = listener.tlsConfig.verifyClient = True
        number = self.endpoint.transportCreate(kind, listener)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        account = pj.AccountConfig()
        account.idUri = f"sip:pjsua@{host}:{port};transport={transport}"
        account.regConfig.registerOnAdd = False
        account.sipConfig.transportId = number
        if proxy:
            account.sipConfig.proxies.append(proxy)
        account.natConfig.contactUseSrcPort = 0 if is_listening else 1
        if is_listening:  # These calls end by the configured lifetime, not by an agreed one (RFC 4028).
            account.callConfig.timerUse = pj.PJSUA_SIP_TIMER_INACTIVE
        account.natConfig.viaRewriteUse = account.natConfig.contactRewriteUse = 0
        account.mediaConfig.transportConfig.boundAddress = host
        self.account = Account()
        self.account.telephone = self
        self.account.create(account)
        say("ready")

    def over(self, call):
        """Out of the list, but alive until the library has come back from telling us."""
        if call in self.calls:
            self.calls.remove(call)
        self.ended.append(call)

    def obey(self, line):
        word, _, rest = line.strip().partition(" ")
        if word == "call":
            self.calls.append(Call(self))
            self.calls[-1].makeCall(rest, pj.CallOpParam(True))
        elif word == "hold":
            for call in self.calls:
                call.setHold(pj.CallOpParam(True))
        elif word == "hangup":
            for call in list(self.calls):
                call.hangup(pj.CallOpParam(True))

    def run(self):
        lines, lock = [], threading.Lock()

        def read():
            for line in sys.stdin:
                with lock:
                    lines.append(line)
            with lock:
                lines.append("quit")

        threading.Thread(target=read, daemon=True).start()
        while True:
            self.endpoint.libHandleEvents(20)
            self.ended.clear()
            with lock:
                waiting, lines[:] = list(lines), []
            for line in waiting:
                if line.strip() == "quit":
                    return
                self.obey(line)


def main():
    transport, host, port, proxy, tls_folder = sys.argv[1:6]
    telephone = Telephone(transport, host, int(port), proxy, tls_folder, "listening" in sys.argv[6:])
    telephone.run()
    telephone.calls.clear()
    telephone.ended.clear()
    telephone.account.shutdown()
    telephone.endpoint.libDestroy()


if __name__ == "__main__":
    main()
