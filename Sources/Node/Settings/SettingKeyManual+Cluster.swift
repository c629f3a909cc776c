// The manual of the keys of cluster, replication, dialogs, take-over, limits, trace and management.

extension SettingManual {
    static let cluster: [String: SettingManual] = [
        "cluster.name": SettingManual(
            """
            The same on every node. Frames of another cluster are never applied
            """,
            range: "as `node.name`",
            value: "`understudy`"),
        "cluster.bus": SettingManual(
            """
            Peers publish to us here. The next port takes repair requests
            """,
            range: "`tcp://ADDRESS:PORT`, port 1 to 65534; the scheme may be left out",
            value: "required with peers"),
        "cluster.peers": SettingManual(
            """
            The others' bus addresses. None: the node serves alone
            """,
            range: "list of at most 15",
            value: "none"),
        "cluster.dns": SettingManual(
            """
            Instead of `cluster.peers`: a name whose addresses are the nodes, this one among them or not, and the \
            port of their buses. Looked up at the start, and again when the answer ends, at the soonest after 5 \
            seconds. An address that is no longer there stays a peer while a node is there, and \
            `cluster.forget-after` longer. A node that finds nobody waits `cluster.bootstrap-after` before it serves \
            alone; one that gets no answer does not serve new calls. 16 addresses are used. With a loopback bus only \
            loopback addresses are
            """,
            range: "`NAME:PORT`",
            value: "none"),
        "cluster.key-file": SettingManual(
            """
            Key of the cluster, the same on every node. The bus is sealed with it, and dids, branches and digests are \
            made with it. `understudy key new` makes one, `understudy key rotate` another while calls are up; a \
            reload takes it
            """,
            range: "file of at least 16 bytes",
            value: "required unless bus and peers are loopback"),
        "cluster.quorum": SettingManual(
            """
            `auto`: the last of two may act on proof of death at once, and of two configured nodes on silence after \
            a grace. `majority`: never without a majority
            """),
        "cluster.bootstrap-after": SettingManual(
            """
            How long a majority without any member waits for the rest before it forms the first view, seconds
            """),
        "cluster.forget-after": SettingManual(
            """
            A member that is down longer holds back no tombstone, seconds
            """),
        "cluster.lone-grace": SettingManual(
            """
            How much longer the last of two waits when the other is silent and not proven dead, seconds. At most a \
            tenth of `ims_dialog.default_timeout` is used
            """),
        "cluster.heartbeat-ms": SettingManual(
            """
            Time between heartbeats, milliseconds
            """),
        "cluster.suspicion-ms": SettingManual(
            """
            Silence after which a member is suspected, milliseconds. Measured jitter raises it
            """,
            range: "3 heartbeats to 60 000"),
        "replication.commit": SettingManual(
            """
            How many peers must have a dialog before its 2xx goes on. A refresh may need more, see <doc:Decisions>
            """),
        "replication.commit-timeout-ms": SettingManual(
            """
            The longest wait, milliseconds. Then the 2xx goes on and is counted
            """),
        "replication.linger-ms": SettingManual(
            """
            How long a fact waits for company in its frame, milliseconds. Less than the commit timeout
            """),
        "takeover.early": SettingManual(
            """
            A ringing call whose node died. `auto`: wait while a live member holds the dead node's service address, \
            else cancel
            """),
        "takeover.early-grace-ms": SettingManual(
            """
            How long that address may take to move, milliseconds
            """),
        "takeover.settle-ms": SettingManual(
            """
            Wait after a deadline, so that a refresh in flight is joined first, milliseconds
            """),
        "takeover.stagger-ms": SettingManual(
            """
            How much later each further rank acts, milliseconds. Counted for three ranks at most
            """),
        "takeover.intent-life-ms": SettingManual(
            """
            How long a granted intent is final, milliseconds
            """),
    ]

    static let service: [String: SettingManual] = [
        "script.lua": SettingManual(
            """
            The Lua script that says where requests go, in the place of `routes`, as Kamailio's `app_lua` has it: \
            <doc:Scripts>. A reload reads it again, and refuses one that does not run; another file needs a restart
            """,
            range: "file",
            value: "none"),
        "script.path": SettingManual(
            """
            The folder of files that the script may `require`, read at the start
            """,
            range: "folder, at most 256 files of 8 MiB",
            value: "none"),
        "registrar.domains": SettingManual(
            """
            Domains whose phones register here, without a script: REGISTER is answered, and a request for one of their \
            users goes to its contacts, by q; to `routes`, where it has none; else it gets 480, or 404 where the \
            credentials know no such user. The same on every node. Needs a restart
            """,
            range: "list of names",
            value: "none"),
        "registrar.credentials-file": SettingManual(
            """
            Who may register, and call in the name of a user of these domains: a line each of `user:password`, \
            `user@domain:password` or, as htdigest writes it, `user:domain:DIGEST`. Without one everybody may. \
            Credentials for these domains go no further than here. With a script it is what `KSR.auth_db.auth_check` \
            knows. The same on every node. Needs a restart
            """,
            range: "file of at most 100 000 lines",
            value: "none"),
        "registrar.default_expires": SettingManual(
            """
            How long a contact holds that names no time, seconds
            """),
        "registrar.min_expires": SettingManual(
            """
            A contact that asks for less gets 423 (RFC 3261 §10.3), seconds; under a script it gets this, as the \
            module does it
            """),
        "registrar.max_expires": SettingManual(
            """
            A contact that asks for more gets this, seconds
            """),
        "registrar.max_contacts": SettingManual(
            """
            Contacts of one user; more are answered 503
            """),
        "registrar.limit": SettingManual(
            """
            Users with contacts, and those whose last contact has just gone; at it a new one gets 503
            """),
        "sip.alias": SettingManual(
            """
            Domains that a script takes for ours (`KSR.is_myself_ruri`)
            """,
            range: "list of names, with a port or without",
            value: "none"),
        "trace.memory-mb": SettingManual(
            """
            Memory, in megabytes, for the last messages, which `understudy trace` shows: without credentials, media \
            keys and bodies that are not SDP. Three quarters of it are for calls, the rest for OPTIONS, \
            registrations and what was refused. About 1500 calls fit into 16 MB; 0 keeps nothing
            """),
        "ims_dialog.hash_size": SettingManual(
            """
            Buckets of the dialog table, the same on every node
            """,
            range: "a power of two, 16 to 1 048 576"),
        "ims_dialog.rr_param": SettingManual(
            """
            Record-Route parameter that carries the did
            """,
            range: "1 to 16 letters, digits, `-`, `.`, `_`; not `lr`",
            value: "`did`"),
        "ims_dialog.event_callback": SettingManual(
            """
            The script's function that events of dialogs are told to, with `dialogs.events`: by their names, \
            `dialog:start`, `dialog:timeout`, `dialog:end`, `dialog:failed`, once each, on the node that acts for the \
            dialog
            """,
            range: "name",
            value: "none"),
        "ims_dialog.default_timeout": SettingManual(
            """
            Lifetime of a dialog, seconds. Requests within it start it again
            """),
        "ims_dialog.early_timeout": SettingManual(
            """
            How long a dialog may stay unanswered, seconds
            """),
        "ims_dialog.noack_timeout": SettingManual(
            """
            How long an answered dialog may wait for its ACK before it is ended, seconds; 0 never ends it for that: \
            a balancer that hides the ACK is likelier than a phone that sends none
            """),
        "ims_dialog.bye_early_code": SettingManual(
            """
            What the caller of a ringing dialog gets when the cluster ends it
            """),
        "ims_dialog.bye_early_reason": SettingManual(
            """
            Reason phrase beside it
            """,
            range: "1 to 64 printable characters",
            value: "`Temporarily Unavailable`"),
        "ims_dialog.detect_spirals": SettingManual(
            """
            A spiral belongs to the dialog that it came from
            """,
            range: "`true` (1); `false` (0) has no effect"),
        "ims_dialog.dlg_flag": SettingManual(
            """
            With a script: the flag (`KSR.setflag`) without which an INVITE begins no dialog, unless `dlg_manage` says \
            so; one that has it begins one whether it is record-routed or not. `-1`: what is record-routed begins one. \
            Without a script every INVITE does
            """),
        "ims_dialog.timeout_avp": SettingManual(
            """
            With a script: the AVP in which it leaves the lifetime of a request's dialog, in seconds, 1 to 604 800, of \
            the initial INVITE or of any request within. What `dlg_set_timeout` says comes first
            """,
            range: "`$avp(NAME)`: letters, digits, `_`, `-` and `.`; at most 64",
            value: "none"),
        "ims_dialog.profiles_with_value": SettingManual(
            """
            Profiles whose dialogs are told apart by a value: `caller` by who calls. Sizes are the cluster's. A \
            profile that is in neither list is refused by name
            """,
            range: "a list, or `;` between: names of 1 to 64 letters, digits and `_`; 64 of both kinds",
            value: "none"),
        "ims_dialog.profiles_no_value": SettingManual(
            """
            Profiles that a dialog is in or not
            """,
            range: "as `profiles_with_value`",
            value: "none"),
        "ims_dialog.timeout_noreset": SettingManual(
            """
            Requests within a dialog do not start its lifetime again. A dialog's property `timeout-noreset` says it \
            for that one, either way
            """),
        "ims_dialog.dlg_extra_hdrs": SettingManual(
            """
            Header lines of every request that the cluster makes: BYEs and keep-alives
            """,
            range: "lines of a name, a colon and a value, `\\r\\n` after each; 1024 characters in all",
            value: "none"),
        "ims_dialog.bridge_controller": SettingManual(
            """
            Who calls, as From, where two addresses are bridged, and who refers, as Referred-By
            """,
            range: "a SIP URI", value: "`sip:controller@kamailio.org`"),
        "ims_dialog.bridge_contact": SettingManual(
            """
            Where a bridged phone's requests go: it must lead to the nodes, each of which answers them
            """,
            range: "a SIP URI", value: "`controller` at the first of `sip.advertise`, else of `sip.listen`"),
        "dialogs.events": SettingManual(
            """
            What begins, fails, expires and ends is told by the dialog's actor, once for the cluster, into its \
            `events-file` (<doc:CallRecords>). A dialog keeps what routes and scripts wrote into it until its end was \
            told. The same on every node
            """),
        "dialogs.events-file": SettingManual(
            """
            A file to which each event that this node tells is appended, as a line of JSON; it is opened anew for each \
            batch of lines, so it may be moved away at any time. An event counts as told when its line is in the file; \
            while that cannot be written, other nodes tell it
            """,
            range: "a path", value: "none"),
        "ims_dialog.ka_timer": SettingManual(
            """
            0: no keep-alives. Kamailio looks for dialogs to ask every so many seconds, and asks them at once; here \
            each dialog has a moment of its own, and any other value only switches keep-alives on
            """),
        "ims_dialog.ka_interval": SettingManual(
            """
            Seconds from one OPTIONS within a dialog to the next. The same on every node: an heir goes on with its \
            own
            """,
            range: "0, 30 to 86 400; 0 only with `ka_timer` 0"),
        "ims_dialog.ka_failed_limit": SettingManual(
            """
            How often in a row a side may fail (408, 481, or silence for 64·T1) until the dialog is ended and both \
            sides get a BYE
            """),
        "ims_dialog.ka-src": SettingManual(
            """
            Ask the caller in dialogs that begin at this node: what a script says with `dlg_set_property("ka-src")`. \
            It is a fact in the record
            """),
        "ims_dialog.ka-dst": SettingManual(
            """
            Ask the callee, likewise
            """),
        "dialogs.limit": SettingManual(
            """
            Records, live ones and tombstones. At the limit a new call gets 503 with Retry-After; requests in a \
            dialog are served
            """),
        "dialogs.unrecorded": SettingManual(
            """
            What becomes of a call that can have no record, because that would be larger than a record may be \
            (<doc:Bounds>). `forward`: it goes on, and the cluster knows nothing of it. `refuse`: the caller gets \
            513, and who has answered ACK and BYE
            """),
        "access.allow": SettingManual(
            """
            Only these may send requests. Members of the cluster and `sip.balancer` always may
            """,
            range: "list of at most 256 addresses or blocks",
            value: "everybody"),
        "access.deny": SettingManual(
            """
            These may not, whatever `access.allow` says
            """,
            range: "the same",
            value: "nobody"),
        "access.answer": SettingManual(
            """
            What others get. An ACK never gets an answer
            """),
        "access.trusted": SettingManual(
            """
            The trust domain of RFC 3325: P-Asserted-Identity is believed from these, and passed on to them whatever \
            Privacy says. From others it is removed; to others it goes unless Privacy says `id`. Members of the \
            cluster belong to it; what comes through a balancer is judged by the balancer's address
            """,
            range: "the same",
            value: "none: identities pass as they are"),
        "limits.source-per-second": SettingManual(
            """
            Requests outside of a dialog that one source may send, for long; over it they get 503 with Retry-After. \
            Sources in `sip.balancer` have no limit of their own
            """,
            range: "0 to 1 000 000; 0: none"),
        "limits.source-burst": SettingManual(
            """
            How many may come at once
            """,
            value: "0: twice the rate"),
        "limits.total-per-second": SettingManual(
            """
            The same for all sources together
            """,
            range: "0 to 1 000 000; 0: none"),
        "limits.total-burst": SettingManual(
            """
            How many may come at once
            """,
            value: "0: twice the rate"),
        "limits.sources": SettingManual(
            """
            Sources remembered; beyond it the one not heard for longest is forgotten
            """,
            range: "16 to 1 000 000, rounded up to a power of two"),
        "limits.overload-ms": SettingManual(
            """
            When datagrams have stood in the socket for longer than this, for a quarter of a second without a break, \
            the node cannot keep up: new requests get 503 with Retry-After until the queue is shorter. Emergency calls \
            do not. 0: never
            """),
        "limits.emergency-reserve": SettingManual(
            """
            Percent of `dialogs.limit` and of the transactions that only emergency calls may use: of a route with \
            `emergency: true`, and `urn:service:sos` (RFC 5031)
            """),
        "management.http": SettingManual(
            """
            Commands, JSON-RPC, `/metrics`, `/healthz`, `/readyz`, `/drainz`
            """,
            range: "`ADDRESS:PORT`, port 8080; not the bus port or the next",
            value: "none"),
        "management.advertise": SettingManual(
            """
            The URL by which other members and tools reach this node's management, when it is not that of \
            `management.http`; members tell it each other, and `--node NAME` goes by it where the bus does not carry \
            what is asked
            """,
            range: "`http://HOST:PORT` or `https://HOST:PORT`, port 8080 or 443",
            value: "`management.http`; for a wildcard address that of `cluster.bus`"),
        "management.token-file": SettingManual(
            """
            File whose first line is the bearer token
            """,
            range: "at least 16 characters",
            value: "required off loopback"),
        "management.tls.certificate-file": SettingManual(
            """
            Certificate of management, and the chain above it: with it management is HTTPS only. Read again on a reload
            """,
            range: "PEM file",
            value: "required off loopback"),
        "management.tls.key-file": SettingManual(
            """
            Its key
            """,
            range: "PEM file",
            value: "required with it"),
        "management.insecure": SettingManual(
            """
            Off loopback without `management.tls`: whoever can listen on the way reads the token. For a network of the \
            nodes' own, or where something in front of the node ends TLS
            """),
        "management.ctl": SettingManual(
            """
            BINRPC, for `kamcmd`. Whoever may write to the socket may command the node: its user and its group. TCP on \
            loopback only, where any user of the host may
            """,
            range: "list of at most 4: `unix:/PATH`, `tcp:ADDRESS:PORT`",
            value: "none"),
        "management.jsonrpc_socket": SettingManual(
            """
            JSON-RPC by datagrams on a Unix socket, for `kamcli`
            """,
            range: "absolute path of at most 107 bytes",
            value: "none"),
        "management.jsonrpc_fifo": SettingManual(
            """
            JSON-RPC by a FIFO, for `kamctl`: the answer goes into the FIFO that the request's `reply_name` names
            """,
            range: "the same",
            value: "none"),
        "management.mi_fifo": SettingManual(
            """
            The commands of Kamailio's former management interface: `dlg_list`, `dlg_terminate_dlg` and the others of \
            the module's README
            """,
            range: "the same",
            value: "none"),
        "management.fifo_reply_dir": SettingManual(
            """
            Where whoever asks by a FIFO makes the one for the answer
            """,
            range: "folder",
            value: "`/tmp`"),
        "management.compat": SettingManual(
            """
            `kamailio-5.6`: answers show the visible defects of Kamailio 5.6.3, for tools that count on them \
            (<doc:ComingFromKamailio>)
            """),
        "management.dump_folder": SettingManual(
            """
            Where `dlg.dump_file` may write, by a name without a path
            """,
            range: "folder",
            value: "none: it writes nothing"),
        "management.fault_injection": SettingManual(
            """
            Adds `fault.forget`, `fault.pause_bus` and `fault.skew`
            """,
            range: "`true`, `false`; `true` only when `management.http` is loopback"),
    ]
}
