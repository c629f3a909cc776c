// `#expect` cannot look into an expression that changes what it is called on; this evaluates it first.

import Testing

func expect(_ location: SourceLocation = #_sourceLocation, _ condition: () -> Bool) {
    let holds = condition()
    #expect(holds, sourceLocation: location)
}
