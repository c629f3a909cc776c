// The ladder as one SVG file without anything from elsewhere: arrows between lifelines, the whole message behind each
// label as its title.

extension CallLadder {
    package func svg(title: String, clock: (Int64) -> String) -> String {
        let (step, rowHeight, top) = (200, 24, 60)
        let width = 120 + step * max(1, parties.count)
        let height = top + rowHeight * (rows.count + 1) + 20 * (footer.count + 1)
        func place(_ column: Int) -> Int { 120 + step / 2 + column * step }
        var svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" font-family="sans-serif" \
            font-size="12">
            <title>\(Self.escaped(title))</title>
            <defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">\
            <path d="M0,0 L8,4 L0,8 z" fill="#224"/></marker></defs>
            <rect width="\(width)" height="\(height)" fill="#fff"/>

            """
        let end = top + rowHeight * rows.count + 12
        for (column, party) in parties.enumerated() {
            let x = place(column)
            svg +=
                "<text x=\"\(x)\" y=\"30\" text-anchor=\"middle\" font-weight=\"bold\">\(Self.escaped(party))</text>\n"
            svg += "<line x1=\"\(x)\" y1=\"40\" x2=\"\(x)\" y2=\"\(end)\" stroke=\"#999\"/>\n"
        }
        for (index, (at, row)) in rows.enumerated() {
            let y = top + rowHeight * index
            svg += "<text x=\"6\" y=\"\(y + 4)\" fill=\"#555\">\(Self.escaped(clock(at)))</text>\n"
            switch row {
            case .message(let message): svg += Self.arrow(message, place(message.from), place(message.to), y)
            case .deed(let column, let sentence):
                let x = place(column)
                svg += "<circle cx=\"\(x)\" cy=\"\(y)\" r=\"4\" fill=\"#b50\"/>"
                svg += "<text x=\"\(x + 8)\" y=\"\(y + 4)\" fill=\"#b50\">\(Self.escaped(sentence))</text>\n"
            }
        }
        for (index, line) in footer.enumerated() {
            svg += "<text x=\"6\" y=\"\(end + 24 + 20 * index)\">\(Self.escaped(line))</text>\n"
        }
        return svg + "</svg>\n"
    }

    private static func arrow(_ message: Message, _ from: Int, _ to: Int, _ y: Int) -> String {
        let dash = message.isRepeated ? " stroke-dasharray=\"4 3\"" : ""
        let x = from == to ? to + 20 : to
        return "<g><title>\(escaped(message.text))</title>"
            + "<line x1=\"\(from)\" y1=\"\(y)\" x2=\"\(x)\" y2=\"\(y)\" stroke=\"#224\"\(dash) "
            + "marker-end=\"url(#tip)\"/><text x=\"\((from + x) / 2)\" y=\"\(y - 4)\" text-anchor=\"middle\">"
            + "\(escaped(message.label))</text></g>\n"
    }

    /// For text and attributes. XML has no place for most control characters.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            case "\r": break
            default: result.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0xFFFE ? "?" : scalar)
            }
        }
        return result
    }
}
