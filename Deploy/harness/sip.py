"""SIP messages for the test phones: enough of RFC 3261 to read any answer and to write well-formed requests.

This is deliberately not the proxy's parser. The phones must judge the proxy, so they share no code with it: a message
is split into lines, headers are kept in order, and what the phones need is looked up by name. Headers that may be
lists (Via, Route, Record-Route) are split at commas that stand outside quotes and angle brackets. Limits: UDP only, no
folding of header lines on the way out, bodies are opaque.
"""

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "s": "subject",
    "k": "supported",
    "e": "content-encoding",
}
LISTS = ("via", "route", "record-route")
REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    500: "Server Internal Error",
    503: "Service Unavailable",
}


def split_list(value):
    """Splits a header value at its top-level commas (RFC 3261 section 7.3.1)."""
    if "," not in value:
        return [value.strip()]
    parts, depth, quoted, start, escaped = [], 0, False, 0, False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char == "<":
            depth += 1
        elif char == ">":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def uri_of(name_address):
    """The URI inside `"A" <sip:a@b;lr>;tag=x`, or the addr-spec without its header parameters."""
    start = name_address.find("<")
    if start >= 0:
        return name_address[start + 1 : name_address.find(">", start)]
    return name_address.split(";", 1)[0].strip()


def tag_of(name_address):
    """The tag parameter of a From or To value; empty when there is none."""
    rest = name_address[name_address.find(">") + 1 :] if "<" in name_address else name_address
    for parameter in rest.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "tag":
            return value.strip()
    return ""


def endpoint_of(uri):
    """(host, port) that a SIP URI or a sent-by names; 5060 when it names no port. IPv4 and names only."""
    rest = uri.split(":", 1)[1] if uri[:4].lower() in ("sip:", "sips") else uri
    host = rest.rsplit("@", 1)[-1].split(";", 1)[0].split("?", 1)[0].strip()
    name, _, port = host.partition(":")
    return name, int(port) if port.isdigit() else 5060


class Via:
    """One Via element: sent-by and parameters."""

    __slots__ = ("text", "sent_by", "parameters")

    def __init__(self, text):
        self.text = text
        protocol, _, rest = text.strip().partition(" ")
        pieces = rest.strip().split(";")
        self.sent_by = pieces[0].strip()
        self.parameters = {}
        for piece in pieces[1:]:
            key, _, value = piece.partition("=")
            self.parameters[key.strip().lower()] = value.strip()

    @property
    def branch(self):
        return self.parameters.get("branch", "")

    def answered(self, source):
        """This Via as a server writes it into its answer (RFC 3261 section 18.2.1, RFC 3581)."""
        text = self.text
        if "rport" in self.parameters:
            pieces = text.split(";")
            pieces = [f"rport={source[1]}" if p.strip().lower().startswith("rport") else p for p in pieces]
            text = ";".join(pieces)
        elif endpoint_of(self.sent_by)[0] == source[0]:
            return text
        return text if "received" in self.parameters else f"{text};received={source[0]}"

    def answer_goes_to(self, source):
        """Where the answer is sent: RFC 3581 with rport, RFC 3261 section 18.2.2 without."""
        if "rport" in self.parameters:
            return source
        return source[0], endpoint_of(self.sent_by)[1]


class Message:
    """A parsed message. `first_line` as received; `method` is that of the CSeq for an answer."""

    __slots__ = (
        "first_line",
        "is_request",
        "method",
        "uri",
        "code",
        "headers",
        "vias",
        "routes",
        "record_routes",
        "body",
    )

    def __init__(self):
        self.headers = {}
        self.vias, self.routes, self.record_routes = [], [], []
        self.uri, self.code, self.body = "", 0, ""

    def get(self, name):
        return self.headers.get(name, "")

    @property
    def call_id(self):
        return self.headers.get("call-id", "")

    @property
    def cseq(self):
        return int(self.headers.get("cseq", "0").split()[0])

    @property
    def via(self):
        return Via(self.vias[0])


def parse(data):
    """A datagram as a Message; None when it is no SIP message with at least Via, Call-ID and CSeq."""
    text = data.decode("latin-1")
    head, _, body = text.partition("\r\n\r\n")
    lines = head.split("\r\n")
    message = Message()
    message.body = body
    message.first_line = lines[0]
    lists = (message.vias, message.routes, message.record_routes)
    previous = None
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and previous:
            message.headers[previous] = message.headers.get(previous, "") + " " + line.strip()
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower()
        name = COMPACT.get(name, name)
        value = value.strip()
        previous = name
        if name in LISTS:
            lists[LISTS.index(name)].extend(split_list(value))
        elif name not in message.headers:
            message.headers[name] = value
    pieces = lines[0].split(" ", 2)
    if len(pieces) < 2 or not message.vias or "cseq" not in message.headers or "call-id" not in message.headers:
        return None
    cseq = message.headers["cseq"].split()
    if len(cseq) != 2 or not cseq[0].isdigit():
        return None
    message.is_request = not pieces[0].startswith("SIP/")
    if message.is_request:
        message.method, message.uri = pieces[0], pieces[1]
    else:
        message.code = int(pieces[1]) if pieces[1].isdigit() else 0
        message.method = cseq[1]
    return message


def write(first_line, headers, body=""):
    """A message as bytes. `headers` are (name, value) pairs; Content-Length is added."""
    lines = [first_line]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def answer(request, code, source, to_tag="", headers=(), body="", record_route=False):
    """The answer to `request` that came from `source` (RFC 3261 section 8.2.6), as bytes."""
    fields = [("Via", request.via.answered(source))]
    fields += [("Via", via) for via in request.vias[1:]]
    if record_route:
        fields += [("Record-Route", value) for value in request.record_routes]
    to = request.get("to")
    if to_tag and not tag_of(to):
        to = f"{to};tag={to_tag}"
    fields += [("From", request.get("from")), ("To", to), ("Call-ID", request.call_id), ("CSeq", request.get("cseq"))]
    fields += list(headers)
    return write(f"SIP/2.0 {code} {REASONS.get(code, 'Answer')}", fields, body)


def session_description(host, port):
    """A minimal SDP body: the phones carry no media, the proxy must not care."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
