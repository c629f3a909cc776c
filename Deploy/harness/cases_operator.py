"""What an operator is told: mistakes on the command line and in configurations, each with its exit code and its sentence,
and what `check`, `drain` and `status` say of members that are down, cut off, never came, or are of another cluster."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from cluster import Cluster
from loop import now

# typed, exit code, what one line of the answer says; the node's URL is @, its address %.
COMMAND_LINE = [
    ("", 0, r"SUBCOMMANDS"),
    ("statsu --node @", 64, r"'statsu' is not a command .* did you mean 'understudy status'"),
    ("--version", 0, r"^understudy \d+\.\d+\.\d+"),
    ("-v", 0, r"^understudy \d+\.\d+\.\d+"),
    ("version", 0, r"^understudy \d+\.\d+\.\d+"),
    ("man", 64, r"'man' is not a command of 'understudy'; there are serve"),
    ("phones", 64, r"'phones' is not a command of 'understudy'; there are serve"),
    ("status --node", 64, r"Missing value for '--node"),
    ("status --node %", 0, r"^node      n1"),
    ("status --node https://%:8080", 2, r"does not speak TLS"),
    ("status --node %:5061", 2, r"connection refused"),
    ("status --node %:7400", 2, r"does not speak HTTP: is it the port of the bus or of SIP"),
    ("status --node http://no-such-host.invalid:8080", 2, r"no such host"),
    ("status --node ftp://%", 2, r"is not a management URL like"),
    ("status --node @/rpc", 2, r"is not a management URL like"),
    ("status --node n2", 0, r"^node      n2"),
    ("status --node n9", 2, r"no member is called n9; there are: n1, n2"),
    ("status @", 64, r"takes the node by an option: understudy status --node"),
    ("status --josn", 64, r"'--josn' is not an option of 'understudy status'; did you mean --json"),
    ("status --token-file /nope --node @", 2, r"cannot be read: no such file"),
    ("status --ca /nope --node @", 2, r"the file of authorities /nope cannot be read: no such file"),
    ("status --ca /dev/null --node @", 2, r"it is a device, not a file"),
    ("status --token-file /etc --node @", 2, r"cannot be read: it is a directory"),
    ("status --node @ --node @", 64, r"--node was given twice"),
    ("status -n @ -j", 0, r'"node":"n1"'),
    ("dialogs --node @", 64, r"wants a command before --node, one of list, show, set, end, export"),
    ("dialogs lst --node @", 64, r"did you mean 'understudy dialogs list'"),
    ("dialogs list --node @", 0, r"^no dialogs$"),
    ("dialogs list --node @ --state Confirmed,EARLY", 0, r"^no dialogs$"),
    ("dialogs list --node @ --state a,b", 1, r"must be one or several of unconfirmed"),
    ("dialogs list --node @ --limit=-5", 64, r"--limit must be 1 or more, not -5"),
    ("dialogs list --node @ --limit -5", 64, r"--limit must be 1 or more, not -5"),
    ("dialogs list --node @ --limit 0", 64, r"--limit must be 1 or more, not 0"),
    ("dialogs list --node @ --limit 100000000000000000000", 64, r"is invalid"),
    ("dialogs list --node @ --sort size", 64, r"is invalid for '--sort"),
    ("dialogs list --node @ --older 2w", 64, r"wants an age like"),
    ("dialogs show", 64, r"Missing expected argument '<dialog>'"),
    ("dialogs show nope --node @", 1, r"No dialog has the did or Call-ID nope"),
    ("dialogs end --node @ --state early x", 64, r"'--state' is not an option of 'understudy dialogs end'; there are --node"),
    ("dialogs end --node @ nope --wait", 1, r"No dialog has the did or Call-ID nope"),
    ("dialogs end --node @ nope --timeout 0", 64, r"--timeout must be 1 to 600"),
    ("dialogs export --json --node @", 0, r"^$"),
    ("show x", 64, r"did you mean 'understudy dialogs show'"),
    ("list", 64, r"did you mean 'understudy dialogs list'"),
    ("check --node http://%:9", 2, r"cannot ask"),
    ("check --node @ --node @", 2, r"are the same node, n1"),
    ("check --node n1 --node n2", 0, r"^equal: 0 dialogs on n1, n2$"),
    ("check --node n9", 2, r"no member is called n9; there are: n1, n2"),
    ("reload --all --node @", 0, r"^n2: nothing has changed$"),
    ("undrain n9 --node @", 2, r"no member is called n9; there are: n1, n2"),
    ("rpc cluster.ask n2 cluster.end --node @", 1, r"cluster.end may not be asked over the bus; these may: cluster.status"),
    ("rpc cluster.ask n2 --node @", 1, r"Parameter method is missing"),
    ("check --watch --node http://%:9x/y", 2, r"is not a management URL like"),
    ("reload --al", 64, r"did you mean --all"),
    ("config int", 64, r"did you mean 'understudy config init'"),
    ("config init extra", 64, r"Unexpected argument 'extra'"),
    ("key new", 64, r"Missing expected argument '<file>'"),
    ("key new /etc/hostname", 2, r"/etc/hostname cannot be written: it exists, and is not written over"),
    ("key mew x", 64, r"did you mean 'understudy key new'"),
    ("log-level loud", 64, r"debug, info, notice, warning or error"),
    ("drain n2 n3", 64, r"Unexpected argument 'n3'"),
    ("drain n1 --timeout 0", 64, r"--timeout must be 1 to 86400"),
    ("serve -c /etc", 2, r"/etc cannot be read: it is a directory"),
    ("serve --set foo=bar", 2, r"foo: is not a known key"),
    ("serve --log-format xml", 64, r"is invalid for '--log-format"),
    ("status --node %:99999", 2, r"is not a management URL like"),
    ("check --foo", 64, r"'--foo' is not an option of 'understudy check'; there are --node"),
    ("chekc", 64, r"did you mean 'understudy check'"),
    ("drain", 64, r"Missing expected argument '<target>'"),
    ("drain nosuch --node @", 2, r"no member is called nosuch; there are: n1, n2"),
    ("rpc no.such --node @", 1, r"knows no method 'no.such'; understudy rpc --help lists"),
    ("rpc cluster.staus --node @", 1, r"did you mean cluster.status\?"),
    ("rpc dlg.list extra words --node @", 64, r"dlg.list takes no parameter; 'extra' is too many"),
    ("rpc dlg.terminate_dlg a --node @", 1, r"Need a Callid"),
    ("rpc dlg.end_dlg 0 -1 --node @", 1, r"@ answers:"),
    ("rpc cluster.dialogs word --node @", 1, r"cursor must be 0 to 4294967295"),
    ("serve", 2, r"node.name: is required"),
    ("serve FILE", 64, r"takes its file by an option: understudy serve --config FILE"),
    ("serve -c /nope", 2, r"/nope cannot be read: no such file"),
    ("serve --log-level verbose", 64, r"debug"),
    ("serve --drain-timeout 601", 64, r"must be 0 to 600"),
    ("serve --drain-timeout -1", 64, r"must be 0 to 600"),
    ("serve --config a --config b", 64, r"--config was given twice"),
    ("serve --daemon", 64, r"'--daemon' is not an option of 'understudy serve'; there are --config"),
    ("config check A B", 64, r"Unexpected argument 'B'"),
    ("config chek F", 64, r"did you mean 'understudy config check'"),
    ("config", 0, r"SUBCOMMANDS"),
    ("help dialogs lst", 64, r"did you mean 'understudy dialogs list'"),
    ("--node @ status", 64, r"wants a command before --node"),
    ("status --node --json", 64, r"--node wants a value before --json"),
    ("stop", 64, r"a node drains and leaves on SIGTERM, as from systemctl"),
    ("restart", 64, r"a node drains and leaves on SIGTERM"),
    ("start", 64, r"did you mean 'understudy serve'"),
    ("members", 64, r"did you mean 'understudy status'"),
    ("calls", 64, r"did you mean 'understudy dialogs list'"),
    ("logs", 64, r"a node's log is its standard output, and journalctl has it"),
    ("status \u2014json", 64, r"begins with a typographic dash; write --json"),
    ("status --token x", 64, r"'--token' is not an option of 'understudy status'; did you mean --token-file\?"),
    ("status -node x", 64, r"did you mean --node\?"),
    ("serve --conf x.yaml", 64, r"did you mean --config\?"),
    ("serve -f x.yaml", 64, r"takes its file by an option: understudy serve --config x.yaml"),
    ("drain n1 --timeout", 64, r"--timeout wants a value, and none stands behind it"),
    ("drain n1 --timeout=", 64, r"--timeout wants a value, and none stands behind it"),
    ("drain n1 --timeout 5", 64, r"--timeout belongs to --wait"),
    ("dialogs end x --timeout 5", 64, r"--timeout belongs to --wait"),
    ("config check x.yaml --set", 64, r"--set wants a value, and none stands behind it"),
    ("config check -c x.yaml", 64, r"takes its file without -c: understudy config check x.yaml"),
    ("config check --config x.yaml", 64, r"takes its file without --config"),
    ("config check /dev/null", 2, r"/dev/null cannot be read: it is a device, not a file"),
    ("config check /etc/hostname/x", 2, r"a part of its path is a file, not a folder"),
    ("serve -c /dev/null", 2, r"it is a device, not a file"),
    ("status --token-file /dev/null --node @", 2, r"it is a device, not a file"),
    ("key new -", 2, r"'-' is not the name of a file"),
    ("key new /etc/hostname/x", 2, r"a part of its path is a file, not a folder"),
    ("status --node http://[::1]:9", 2, r"cannot ask http://\[::1\]:9: connection refused"),
    ("status --node ::1", 2, r"cannot ask http://\[::1\]:8080: connection refused"),
    ("status --node [fe80::1%lo]:8080", 2, r"is not a management URL like"),
    ("status --node http://u:p@%:8080", 2, r"is not a management URL like"),
    ("status --node https://localhost:9", 2, r"cannot ask https://localhost:9: connection refused"),
    ("dialogs list --node @ --state ,", 64, r"--state wants one or several of unconfirmed"),
    ("dialogs list --node @ --from=", 64, r"."),
    ("dialogs list --node @ --home n9", 2, r"no dialog is of n9, and no member is called so; there are: n1, n2"),
    ("dialogs list --node @ --home n2", 0, r"^no dialogs$"),
    ("dialogs list --node @ --older 2h --younger 1h", 64, r"nothing is older than 2h and younger than 1h"),
    ("config check x.yaml --set sip=x", 2, r"cannot be read: no such file"),
    ("config check --set sip=x", 2, r"sip: is a section, not a key; it has listen"),
    ("drain n1 --now", 64, r"'--now' is not an option of 'understudy drain'; there are --node"),
    ("serve --port 5060", 64, r"'--port' is not an option of 'understudy serve'; there are --config"),
    ("serve --set sip.listen udp://127.0.0.1:5060", 64, r"--set wants KEY=VALUE, written together: --set sip.listen=udp://127.0.0.1:5060"),
    ("dialogs list --state confirmed early", 64, r"'early' belongs to no option: --state takes one value, confirmed"),
    ("dialogs export file", 64, r"writes to standard output: understudy dialogs export > file"),
    ("dialogs ls", 64, r"did you mean 'understudy dialogs list'"),
    ("dialogs delete x", 64, r"did you mean 'understudy dialogs end'"),
    ("contacts rm bob", 64, r"did you mean 'understudy contacts remove'"),
    ("config test x.yaml", 64, r"did you mean 'understudy config check'"),
    ("key generate x", 64, r"did you mean 'understudy key new'"),
    ("script lint x.lua", 64, r"did you mean 'understudy script check'"),
    ("mi uptime", 64, r"did you mean 'understudy rpc'"),
    ("ul show", 64, r"did you mean 'understudy contacts list'"),
    ("monitor", 64, r"did you mean 'understudy top'"),
    ("dialogs set x timeout soon", 64, r"a timeout is 1 to 604800 seconds from now, not 'soon'"),
    ("dialogs set x flag 40", 64, r"a flag is a number, 0 to 31, not '40'"),
    ("storage init --db-url mysql://h/k", 2, r"--db-url: is not a URL like sqlite:///"),
    ("config check --set =x", 2, r"'=x' is not of the form KEY=VALUE"),
    ("config check --set node.name=a --set sip.listen=127.0.77.41:5060 --set node.name=b", 0, r"warning: node.name: is set twice; the last one holds"),
]

HEAD = "node: {name: x1}\nsip:\n  listen: [udp://127.0.77.41:5060]\n"
# file (None: HEAD with the lines), exit code, what the answer says.
CONFIGURATIONS = [
    (HEAD, 0, r": good, node x1$"),
    (HEAD + "management:\n  http: {address: 127.0.0.1, port: 8080}\n", 2, r"management.http: takes a value like 127.0.0.1:8080"),
    (HEAD + "  proxy_protocol: 1\n", 2, r"sip.proxy_protocol: is not a known key; sip has listen"),
    (HEAD + "node: {shards: 1}\n", 2, r"node: is written twice in one section.*\(lines 1 and 4\)"),
    (HEAD + "\tt1-ms: 500\n", 2, r"a tab: YAML is indented with spaces only \(line 4\)"),
    ("\x00\x01", 2, r"is no text: byte 0 is 0"),
    ("", 2, r"is empty: write at least"),
    ("#!KAMAILIO\ndebug=3\n", 2, r"is a configuration of Kamailio's"),
    ("- a\n", 2, r"has no sections like"),
    (HEAD.replace("127.0.77.41", "2001:db8::1"), 2, r"an IPv6 address stands in brackets"),
    (HEAD.replace(":5060", ":70000"), 2, r"port 70000 is not 1 to 65535"),
    (HEAD.replace(":5060", ""), 2, r"has no port, like udp://"),
    (HEAD + "ims_dialog: {default_timeout: -1}\n", 2, r"must be 1 to 604800 seconds \(line 4\)"),
    (HEAD + "routes:\n  - {mach: \"sip:.*\", to: [sip:127.0.0.1]}\n", 2, r"'mach' is not known; did you mean match"),
    (HEAD + "cluster: {heartbeat-ms: 500}\n", 2, r"cluster.heartbeat-ms: 500 needs a cluster.suspicion-ms of 1500"),
    (HEAD + "cluster: {advertise: \"sip:127.0.0.1\"}\n", 2, r"did you mean sip.advertise"),
    (HEAD + "routes: {match: \"sip:.*\", to: [sip:127.0.0.1]}\n", 2, r"routes: takes a list"),
    (HEAD + "---\nsip: {}\n", 2, r"a second document begins here"),
    ("\ufeff" + HEAD, 0, r": good, node x1$"),
    (HEAD + "  balancer: [127.0.77.10]\n", 0, r"warning: sip.balancer: without sip.advertise"),
    (HEAD + "  advertise: [\"sip:127.0.77.41:5060\", \"sip:127.0.77.41:5061;transport=tls\"]\n", 2, r"sip.advertise: .*tls"),
    (HEAD + "routes:\n  - {match: \"sip:.*\", to: [\"sip:127.0.77.41:5060\"]}\n", 0, r"warning: routes: .* own address"),
    (HEAD + "routes:\n  - {match: \".*\", to: [sip:127.0.0.1]}\n  - {match: \"sip:.*\", to: [sip:127.0.0.2]}\n", 0, r"warning: routes: route 2 can never match"),
    (HEAD + "routes:\n  - {match: \"^sip:bob@example.org$\", to: [sip:127.0.0.1]}\n", 0, r": good, node x1$"),
    (HEAD + "  advertise: [\"127.0.77.10:5060\"]\n", 2, r"sip.advertise: '127.0.77.10:5060' is not a SIP URI like"),
    (HEAD + "  balancer: [\"sip:127.0.77.10\"]\n", 2, r"sip.balancer: 'sip:127.0.77.10' is not an address like"),
    (HEAD + "  listen: [udp://127.0.77.42:5060]\n", 2, r"listen: is written twice in one section.*\(lines 3 and 4\)"),
    (HEAD.replace("udp://127.0.77.41:5060", "udp://127.0.77.41:5060, udp://127.0.77.41:5060"), 2, r"is there twice \(line 3\)"),
    (HEAD.replace("udp://", "sip://"), 2, r"is not an address like udp://"),
    (HEAD.replace("127.0.77.41", "localhost"), 2, r"is not an address like udp://"),
    (HEAD.replace("name: x1", "name: x1, log-level: verbose"), 2, r"node.log-level: 'verbose' is not one of debug, info"),
    (HEAD.replace("name: x1", "name: x1, loglevel: debug"), 2, r"did you mean node.log-level\?"),
    (HEAD + "cluster: {bus: \"udp://127.0.77.41:7400\"}\n", 2, r"cluster.bus: .* is not an address like tcp://"),
    (HEAD + "cluster: {bus: \"tcp://127.0.77.41:65535\"}\n", 2, r"the next port takes repair requests"),
    (HEAD + "cluster: {bus: \"tcp://127.0.77.41:7400\", peers: [n2]}\n", 2, r"cluster.peers: 'n2' is not an address like"),
    (HEAD + "cluster: {bus: \"tcp://127.0.77.41:7400\", peers: [\"tcp://[::1]:7400\"]}\n", 2, r"must be both IPv4 or both IPv6"),
    (HEAD + "cluster: {bus: \"tcp://127.0.77.41:7400\", peers: [\"tcp://10.0.0.2:7400\"]}\n", 2, r"cluster.key-file: is required unless"),
    (HEAD + "cluster: {name: my cluster}\n", 2, r"'my cluster' is not a name"),
    (HEAD + "cluster: {key-file: ~/cluster.key}\n", 2, r"~/cluster.key cannot be read: no such file"),
    (HEAD + "cluster: {key: abc}\n", 2, r"did you mean cluster.key-file\?"),
    (HEAD + "cluster: {quorum: 2}\n", 2, r"'2' is not one of auto, majority"),
    (HEAD + "replication: {commit: 1}\n", 2, r"'1' is not one of async, one, majority"),
    (HEAD + "ims_dialog: {hash_size: 5000}\n", 2, r"must be a power of two"),
    (HEAD + "dialog: {default_timeout: 30}\n", 2, r"did you mean ims_dialog.default_timeout\?"),
    (HEAD + "management: {http: 8080}\n", 2, r"'8080' is not an address like 127.0.0.1:8080"),
    (HEAD + "management: {http: \"0.0.0.0:8080\"}\n", 2, r"management.token-file: is required unless"),
    (HEAD + "management: {https: \"127.0.0.1:8080\"}\n", 2, r"did you mean management.http\?"),
    (HEAD + "management: {http: \"0.0.0.0:8080\"}\n", 2, r"management.tls.certificate-file: is required unless .*management.insecure: true says"),
    (HEAD + "management: {ctl: [\"tcp:192.0.2.1:2049\"]}\n", 2, r"management.ctl: 192.0.2.1:2049 is no loopback address"),
    (HEAD + "management: {ctl: [\"/run/a\", \"udp:127.0.0.1:1\"]}\n", 2, r"'udp:127.0.0.1:1' is not an address like unix:/run/understudy/ctl"),
    (HEAD + "management: {mi_fifo: mi}\n", 2, r"management.mi_fifo: 'mi' is not a path like /run/understudy/mi_fifo"),
    (HEAD + "routes:\n  - {match: \".*\"}\n", 2, r"has either to, a list of SIP URIs, or set"),
    (HEAD + "routes:\n  - {match: \".*\", set: gw}\n", 2, r"'gw' is none of sets"),
    (HEAD + "routes:\n  - {match: \"*@example.org\", to: [sip:127.0.0.1]}\n", 2, r"'\*' has nothing to repeat"),
    (HEAD + "routes:\n  - {match: \".*\", to: [\"sip:127.0.0.1;transport=tls\"]}\n", 2, r"nothing in sip.listen speaks tls"),
    (HEAD + "routes:\n  - {method: [INVIT], to: [sip:127.0.0.1]}\n", 0, r"warning: routes: route 1: no request has the method INVIT; did you mean INVITE\?"),
    (HEAD + "sets: [{name: gw, to: [sip:127.0.0.1], policy: rr}]\nroutes: [{match: \".*\", set: gw}]\n", 2, r"'rr' is not one of failover, round-robin"),
    (HEAD + "access: {allow: all}\n", 2, r"'all' is not an address or a block like"),
    (HEAD + "access: {deny: [0.0.0.0/0]}\n", 0, r"warning: access.deny: 0.0.0.0/0 is every IPv4 address: nobody could send anything"),
    (HEAD + "limits: {source-burst: 5}\n", 2, r"needs limits.source-per-second"),
    (HEAD + "dialogs: {limit: 1M}\n", 2, r"'1M' is not a whole number"),
    (HEAD + "  session-expires: 30\n", 2, r"sip.session-expires: must be 90 to 86400 seconds"),
    (HEAD + "  tls: {cert: /nope.pem}\n", 2, r"did you mean sip.tls.certificate-file\?"),
    (HEAD + "  egress: balancer\n", 2, r"balancer needs sip.balancer"),
    ("# mine\r\n" + HEAD.replace("\n", "\r\n"), 0, r": good, node x1$"),
    (HEAD + "  via: M\udcfcnchen\n", 2, r"is not UTF-8; save it as UTF-8 \(line 4\)"),
    (HEAD + "  via: \u201cown\u201d\n", 2, r"a typographic quotation mark; write .* \(U\+201C\) \(line 4\)"),
    (HEAD + "  t1\u2013ms: 500\n", 2, r"a typographic dash; write - \(U\+2013\) \(line 4\)"),
    (HEAD + "  t1-ms:\u00a0500\n", 2, r"a space that is not the plain one"),
    (HEAD + "<<<<<<< HEAD\n", 2, r"a merge was left unfinished here"),
    (HEAD + "  tls: {certificate-file:/c.pem}\n", 2, r"a space is missing behind 'certificate-file:'"),
    ("node:\n  name:x1\nsip: {listen: [udp://127.0.77.41:5060]}\n", 2, r"node: a space is missing behind 'name:'"),
    (HEAD + "cluster: production\n", 2, r"cluster: is a section, not a key; it has name, bus"),
    (HEAD + "routes:\n  -\n", 2, r"has an entry without a value"),
    (HEAD + "routes:\n  - {match: \".*\", to: [sip:127.0.0.1, {uri: sip:127.0.0.2}]}\n", 2, r"has a field, to, that is neither"),
    (HEAD + "routes:\n  - {match: \"sip:[[:alpha:]]+\", to: [sip:127.0.0.1]}\n", 2, r"'\[:' is not available"),
    (HEAD + "routes:\n  - {match: \"sip:*@a.b\", to: [sip:127.0.0.1]}\n", 0, r"warning: routes: .*repeats the ':' before it"),
    (HEAD + "routes:\n  - {match: \"a\\.b\", to: [sip:127.0.0.1]}\n", 2, r"in double quotes a .* begins an escape"),
    (HEAD + "  balancer: [udp://[::1]:5060]\n", 2, r"an address with brackets wants quotation marks"),
    (HEAD + "  via: @own\n", 2, r"a value that begins with '@', '`' or '%' wants quotation marks"),
    (HEAD + "...\nx: y\n", 2, r"a line with '...' has ended the document"),
    (HEAD.replace("127.0.77.41", "224.0.1.75"), 2, r"is a multicast address"),
    (HEAD + "cluster: {bus: \"tcp://[fe80::1%eth0]:7400\"}\n", 2, r"a zone says nothing to a peer"),
    (HEAD.replace("]", ", tcp://127.0.77.41:7401]") + "cluster: {bus: \"127.0.77.41:7400\"}\n", 2, r"is taken by cluster.bus"),
    (HEAD + "ims_dialog: {rr_param: transport}\n", 2, r"has a meaning of its own in a SIP URI"),
    (HEAD + "access: {allow: [10.0.0.1/8]}\n", 2, r"has bits set behind the first 8; write 10.0.0.0/8"),
    (HEAD + "  via: |\n    a\n    b\n", 2, r"'a\\nb\\n' is not one of own, advertise \(line 4\)$"),
    (HEAD + "cluster: {bus: \"127.0.77.41:7400\", key-file: /dev/zero}\n", 2, r"it is a device, not a file"),
    ("nodes: {name: x1}\nsip: {listen: [udp://127.0.77.41:5060]}\n", 2, r"did you mean node.name\?"),
    ("[node]\nname = x1\n", 2, r"is no YAML: a section is a word and a colon"),
    ("node.name = x1\n", 2, r"has no sections like"),
    (HEAD + "modparam: x\n", 2, r"modparam: is a name of Kamailio's: nothing is loaded"),
    (HEAD + "children: 8\n", 2, r"is a name of Kamailio's: one thread serves SIP"),
    (HEAD + "dispatcher: {list_file: /x}\n", 2, r"is a name of Kamailio's: use sets"),
    (HEAD + "usrloc: {db_mode: 2}\n", 2, r"is a name of Kamailio's: contacts are the cluster's"),
    (HEAD + "registrar: {max_expires: 3600}\n", 0, r"warning: registrar.domains: is missing"),
    (HEAD + "  alias: [example.org]\n", 0, r"warning: sip.alias: is of no use without script.lua"),
    (HEAD + "  t1-ms: 500\nsip.t1_ms: 600\n", 2, r"sip.t1-ms: is written twice; delete one of them \(lines 4 and 5\)"),
    (HEAD.replace("udp://", "udp:"), 2, r"write udp://127.0.77.41:5060"),
    (HEAD.replace("udp://", "sctp://"), 2, r"sctp is no transport here; there are udp, tcp"),
    (HEAD.replace("127.0.77.41", "eth0"), 2, r"eth0 is a name, and names are not looked up here"),
    (HEAD.replace("x1", "{{ name }}"), 2, r"a template was left unfilled here: {{ name }} \(line 1\)"),
    (HEAD.replace("x1", "null"), 2, r"node.name: is required"),
    (HEAD + "cluster: {bus: \"127.0.77.41:7400\", peers: [127.0.77.41:7401]}\n", 2, r"is our own: cluster.bus uses its port and the next"),
    (HEAD + "storage: {db_url: \"sqlite:///nonexistent/x.db\", db_mode: 1}\n", 0, r"warning: storage.db_url: the folder /nonexistent is not there"),
    (HEAD + "management: {ctl: \"unix:/nonexistent/ctl\"}\n", 0, r"warning: management.ctl: the folder /nonexistent is not there"),
    (HEAD + "management: {http: \"127.0.77.41:8080\", dump_folder: /nonexistent}\n", 0, r"warning: management.dump_folder: the folder"),
    (HEAD + "dialogs: {events: true, events-file: events.jsonl}\n", 2, r"'events.jsonl' is not a path like"),
    (HEAD + "script: {lua: /etc/hostname}\n", 2, r"/etc/hostname has no function ksr_request_route"),
    (HEAD + "script: {lua: /nope.lua}\n", 2, r"^understudy: script.lua: /nope.lua cannot be read: no such file \(line 4\)$"),
    (HEAD + "sets: [{name: gw, to: [\"sip:127.0.0.1;transport=sctp\"]}]\n", 2, r"there is no sctp, only udp"),
    (HEAD + "routes: [{match: \".*\", to: [\"sip:127.0.0.1:99999\"]}]\n", 2, r"port 99999 is not 1 to 65535"),
    (HEAD + "routes: [{match: \".*\", to: [\"sip:127.0.0.1 weight=3\", sip:127.0.0.2]}]\n", 0, r"warning: routes: route 1: weight= has no effect"),
    (HEAD + "routes: [{method: [ACK], to: [sip:127.0.0.1]}]\n", 0, r"warning: routes: route 1: ACK goes where its INVITE went"),
    (HEAD + "cluster: {key-file: cluster.key}\n", 2, r"cluster.key cannot be read: .* without a / at its begin"),
    (HEAD + "trace: {memory-mb: 16M}\n", 2, r"'16M' is not a whole number, 0 to 1024"),
    (HEAD.replace("127.0.77.41", "192.0.2.99"), 0, r"warning: sip.listen: udp 192.0.2.99:5060 is not an address of this host"),
    (HEAD + "management: {http: \"127.0.77.11:8080\"}\n", 0, r"warning: management.http: .* is in use on this host"),
]


def run(binary, arguments, environment=None, timeout=30):
    """Exit code, and what was said on both channels."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
    result = subprocess.run(
        [binary, *arguments], capture_output=True, text=True, timeout=timeout, env={**base, **(environment or {})}, check=False
    )
    return result.returncode, result.stdout + result.stderr


def says(text, pattern):
    """Some line says it, and nothing in the answer is a crash."""
    crash = "Fatal error" in text or "Illegal instruction" in text or "*** " in text
    return not crash and (re.search(pattern, text, re.MULTILINE) is not None or (pattern == r"^$" and not text))


def judge(report, name, rows):
    """Rows of (label, as it should be, what was seen); the wrong ones are the claim's detail."""
    wrong = [f"{label}: {seen}" for label, good, seen in rows if not good]
    report.claim(f"{len(rows)} {name}: each with its exit code and its sentence", not wrong, "; ".join(wrong)[:2000] or len(rows))


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], capture_output=True, check=True)


def ended(folder, key, path):
    """A certificate of 2020: OpenSSL 3.0 sets both dates in its `ca` only."""
    request, database, text = (os.path.join(folder, name) for name in ("old.csr", "index.txt", "ca.cnf"))
    open(database, "w").close()
    with open(text, "w") as file:
        file.write(
            f"[ca]\ndefault_ca = it\n[it]\ndatabase = {database}\nnew_certs_dir = {folder}\nrand_serial = yes\n"
            "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
        )
    openssl("req", "-new", "-key", key, "-subj", "/CN=a", "-out", request)
    openssl("ca", "-config", text, "-batch", "-notext", "-selfsign", "-keyfile", key, "-in", request,
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", path)


def certificates(folder):
    """Two pairs, an ended certificate, an encrypted key; name to path."""
    paths = {name: os.path.join(folder, name) for name in ("a.pem", "a.key", "b.pem", "b.key", "old.pem", "locked.key")}
    for name in "ab":
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "90",
                "-keyout", paths[f"{name}.key"], "-out", paths[f"{name}.pem"])
        os.chmod(paths[f"{name}.key"], 0o600)
    ended(folder, paths["a.key"], paths["old.pem"])
    openssl("pkey", "-in", paths["a.key"], "-aes128", "-passout", "pass:x", "-out", paths["locked.key"])
    os.chmod(paths["locked.key"], 0o600)
    return paths


def certificate_rows(binary, folder):
    """What `config check` says of files that cannot be used, or should not be."""
    paths = certificates(folder)

    def check(certificate, key):
        text = HEAD.replace("[udp://127.0.77.41:5060]", "[udp://127.0.77.41:5060, tls://127.0.77.41:5061]")
        text += f"  tls: {{certificate-file: {paths[certificate]}, key-file: {paths[key]}}}\n"
        path = os.path.join(folder, "tls.yaml")
        with open(path, "w") as file:
            file.write(text)
        return run(binary, ["config", "check", path])

    wanted = [
        ("a.pem", "a.key", 0, r": good, node x1$"),
        ("a.pem", "b.key", 2, r"it does not belong to .*a.pem"),
        ("a.key", "a.pem", 2, r"are certificate-file and key-file swapped"),
        ("a.pem", "locked.key", 2, r"it is encrypted"),
        ("old.pem", "a.key", 0, r"warning: sip.tls.certificate-file: .* ended on 2021-01-01"),
    ]
    rows = []
    for certificate, key, code, pattern in wanted:
        got, text = check(certificate, key)
        rows.append((f"{certificate} with {key}", got == code and says(text, pattern), f"exit {got}: {text.strip()[:200]}"))
    request = os.path.join(folder, "named.pem")
    openssl("req", "-x509", "-key", paths["a.key"], "-subj", "/CN=a", "-days", "90", "-addext", "subjectAltName=DNS:a.example.org", "-out", request)
    with open(os.path.join(folder, "hosts.yaml"), "w") as file:
        file.write(HEAD.replace("[udp", "[tls://127.0.77.41:5061, udp"))
        file.write(f"  tls:\n    certificate-file: {paths['a.pem']}\n    key-file: {paths['a.key']}\n")
        file.write(f"    hosts: [{{name: b.example.org, certificate-file: {request}, key-file: {paths['a.key']}}}]\n")
    got, text = run(binary, ["config", "check", file.name])
    good = got == 0 and says(text, r"warning: sip.tls.hosts: .*named.pem is for a.example.org, not for b.example.org")
    rows.append(("a certificate for another name", good, text.strip()[:200]))
    phones = os.path.join(folder, "phones")
    with open(phones, "w") as file:
        file.write("# nobody yet\n")
    os.chmod(phones, 0o644)
    with open(os.path.join(folder, "phones.yaml"), "w") as file:
        file.write(f"{HEAD}registrar: {{domains: [example.org], credentials-file: {phones}}}\n")
    got, text = run(binary, ["config", "check", file.name])
    rows.append(("a file that lets everybody register", got == 2 and says(text, "has no line like user:password"), text.strip()[:200]))
    with open(phones, "a") as more:
        more.write("bob:secret\n")
    got, text = run(binary, ["config", "check", file.name])
    rows.append(("passwords that everybody reads", got == 0 and says(text, r"warning: registrar.credentials-file: .*mode 644"), text.strip()[:200]))
    os.chmod(paths["a.key"], 0o644)
    got, text = check("a.pem", "a.key")
    good = got == 0 and says(text, r"warning: sip.tls.key-file: .* read by everybody \(mode 644\): chmod 600")
    rows.append(("a key of mode 644", good, text.strip()[:200]))
    return rows


def mistakes(report, quick):
    """Mistakes on the command line and in configurations: one clear sentence each, and the exit code."""
    folder = tempfile.mkdtemp(prefix="understudy-operator-")
    try:
        with Cluster(folder, 2, advertise=[]) as cluster:
            cluster.start()
            binary, node = cluster.binary, cluster.nodes[0]
            host = node.management[0]
            rows = []
            for typed, code, pattern in COMMAND_LINE:
                words = [word.replace("@", node.url).replace("%", host) for word in typed.split()]
                got, text = run(binary, words, {"UNDERSTUDY_NODE": node.url})
                pattern = pattern.replace("@", re.escape(node.url))
                rows.append((typed, got == code and says(text, pattern), f"exit {got}: {text.strip()[:200]}"))
            judge(report, "command lines", rows)
            rows = []
            for text, code, pattern in CONFIGURATIONS:
                path = os.path.join(folder, "x.yaml")
                with open(path, "wb") as file:
                    file.write(text.encode("utf-8", "surrogateescape"))
                got, said = run(binary, ["config", "check", path])
                rows.append((text[-60:], got == code and says(said, pattern), f"exit {got}: {said.strip()[:200]}"))
            for variable, code, pattern in (
                ("UNDERSTUDY_SERVICE_HOST", 0, r": good, node x1$"),
                ("UNDERSTUDY_PORT_5060_UDP_ADDR", 0, r": good, node x1$"),
                ("UNDERSTUDY_HOME", 0, r"warning: UNDERSTUDY_HOME: is no setting"),
                ("UNDERSTUDY_SIP_LISTN", 2, r"did you mean UNDERSTUDY_SIP_LISTEN"),
            ):
                with open(path, "w") as file:
                    file.write(HEAD)
                got, said = run(binary, ["config", "check", path], {variable: "1"})
                rows.append((variable, got == code and says(said, pattern), f"exit {got}: {said.strip()[:200]}"))
            got, said = run(binary, ["config", "check", folder])
            rows.append(("a folder", got == 2 and says(said, "it is a directory"), said))
            judge(report, "configurations", rows)
            if shutil.which("openssl"):
                judge(report, "files of TLS", certificate_rows(binary, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def until(binary, arguments, code, pattern, seconds=10, environment=None):
    """Runs it until it ends and says as wanted, or the time is over; whether it did, and what it said last."""
    end = now() + seconds
    while True:
        got, text = run(binary, arguments, environment)
        if got == code and says(text, pattern):
            return True, f"exit {got}"
        if now() > end:
            return False, f"exit {got}: {text.strip()[:400]}"
        time.sleep(0.2)


def told(report, quick):
    """`check` is never 0 while a member is down, has left, is a stranger, or has another table; each is told by name."""
    folder = tempfile.mkdtemp(prefix="understudy-operator-")
    try:
        with Cluster(folder, 3, advertise=[]) as cluster:
            one, two, three = cluster.nodes
            binary, first = cluster.binary, ["--node", one.url]

            def claim(text, arguments, code, pattern):
                good, seen = until(binary, arguments, code, pattern)
                report.claim(text, good, seen)

            def again(node, **changes):
                """The node comes back with other settings of its cluster."""
                before = {name: getattr(cluster, name) for name in changes}
                for name, value in changes.items():
                    setattr(cluster, name, value)
                node.start(wait=False)
                for name, value in before.items():
                    setattr(cluster, name, value)

            def stop(node, number=signal.SIGTERM):
                os.kill(node.process.pid, number)
                node.process.wait()
                cluster.processes.forget(node.name)

            one.start(wait=False)
            claim("who was never heard is named by its address", ["check", *first], 2, r"127.0.77.12:7400 was not asked: never heard by n1")
            claim("a joining node says whom it waits for", ["status", *first], 0, r"joining: waits for \d+ s for 127.0.77.12:7400, 127.0.77.13:7400, not heard; 1 more must be heard")
            two.start(wait=False)
            claim("and until when", ["status", *first], 0, r"waits for \d+ s for 127.0.77.13:7400, not heard; serves without in \d+ s")
            three.start()
            cluster.wait_view(["n1", "n2", "n3"])
            claim("all are asked through one", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            claim("the node of the name drains", ["drain", "n2", *first], 0, r"^n2 is draining$")
            claim("and no other", ["status", *first], 0, r"n1 of acceptance, up, ready")
            claim("until it is told again", ["undrain", "n2", *first], 0, r"^n2 is up$")
            stop(three)
            claim("who has left is told so", ["check", *first], 2, r"n3 was not asked: it left in good order, \d+ s ago$")
            again(three)
            claim("and it comes back", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            stop(three, signal.SIGKILL)
            claim("who died is told so", ["check", *first], 2, r"n3 was not asked: down: its process is gone, since \d+ s")
            claim("those that are left can be compared", ["check", "--partial", *first], 0, r"^equal: 0 dialogs on n1, n2; not asked: n3$")
            again(three, name="other")
            claim("a stranger in its place is no member", ["check", *first], 2, r"n3 was not asked: down")
            claim("and its frames are told of", ["status", *first], 0, r"^n3 sends frames with another cluster.name or cluster key")
            claim("the stranger compares nothing either", ["check", "--node", three.url], 2, r"not asked: 127.0.77.11:7400, 127.0.77.12:7400")
            claim("and knows why", ["check", "--node", three.url], 2, r"frames of n1, n2 come with another cluster.name or cluster key")
            stop(three)
            lines = [*cluster.extra_lines, "ims_dialog.hash_size: 8192"]
            again(three, extra_lines=lines)
            claim("another table cannot be compared", ["check", *first], 2, r"n3 was not asked: its ims_dialog.hash_size is 8192, that of n\d 4096")
            stop(three)
            again(three, management_extra=f", advertise: {one.url}, fault_injection: true")
            claim("wherever the URL of a member leads, it is asked over the bus", ["check", *first], 0, r"^equal: 0 dialogs on n1, n2, n3$")
            claim("it drains", ["drain", "n3", *first], 0, r"^n3 is draining$")
            claim("not the one that its URL leads to", ["status", *first], 0, r"n1 of acceptance, up, ready")
        with Cluster(folder, 2, advertise=[]) as cluster:
            for node in cluster.nodes:
                node.name += ".example.org"
            cluster.start()
            one, two = cluster.nodes
            names = [word for node in cluster.nodes for word in ("--node", node.name)]
            claim("a name with dots is a member's before it is a host's", ["drain", two.name, "--node", one.url], 0, r"^n2.example.org is draining$")
            good, seen = until(cluster.binary, ["check", *names], 0, r"^equal: 0 dialogs", environment={"UNDERSTUDY_NODE": one.url})
            report.claim("and can be asked by it", good, seen)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
