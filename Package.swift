// swift-tools-version: 6.2
import PackageDescription

// With MUTANTS in the environment mechanisms of the core can be switched off, one by one, to see whether the simulator
// finds it (Deploy/mutants). Nothing of that is in any other build.
let mutants: [SwiftSetting] = Context.environment["MUTANTS"] == nil ? [] : [.define("MUTANTS")]

// Every Swift target is compiled alike: Swift 6 mode, `unsafe` spelled out, explicit imports, warnings as errors.
let everywhere: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
    // The hot path crosses SIP, Proxy, Dialogs and Node: without it every small accessor is a call.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]
let swiftSettings = everywhere + mutants

func module(_ name: String, _ dependencies: [Target.Dependency] = [], _ more: [SwiftSetting] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings + more)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

let package = Package(
    name: "understudy",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // Core: standard library only. No clock, socket, file, task, lock or hidden randomness.
        module("Primitives"),
        module("SIP", ["Primitives"]),
        module("Dialogs", ["Primitives", "SIP"]),
        module("Proxy", ["Primitives", "SIP", "Dialogs"]),
        module("Routes", ["Primitives", "SIP", "Dialogs"]),
        // Its small machines are tested one by one, below package access, in release too.
        module("Cluster", ["Primitives"], [.unsafeFlags(["-enable-testing"])]),
        module("Node", ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Routes"]),

        // Shells: turn actions into I/O and I/O into events.
        .target(name: "CSockets"),
        .systemLibrary(
            name: "CNanomsg", pkgConfig: "nanomsg", providers: [.apt(["libnanomsg-dev"]), .brew(["nanomsg"])]),
        .systemLibrary(
            name: "CCares", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"]), .brew(["c-ares"])]),
        module("Nanomsg", ["CNanomsg", "CSockets"]),
        .target(name: "CLua", linkerSettings: [.linkedLibrary("lua5.4")]),
        module("Scripting", ["Primitives", "SIP", "Dialogs", "Proxy", "Node", "Routes", "CLua"]),
        // The cipher of the bus; the decisions about a sealed frame are Cluster's.
        module(
            "Sealing", ["Primitives", "Cluster", "Nanomsg", .product(name: "Crypto", package: "swift-crypto")]),
        module(
            "Transports",
            [
                "Primitives", "SIP", "Node", "Nanomsg", "CSockets", "CCares",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        // What records are kept in besides memory; the tables' definitions are taken from Deploy/sql.
        .systemLibrary(
            name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
        .target(
            name: "Storage",
            dependencies: [
                "Dialogs", "Node", "Nanomsg", "CPostgres", "CSockets", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: swiftSettings, plugins: ["Checkout"]),
        module(
            "Management",
            [
                "Primitives", "SIP", "Dialogs", "Cluster", "Node", "CSockets",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ]),

        // Programs.
        .executableTarget(
            name: "understudy",
            dependencies: [
                "Primitives", "SIP", "Dialogs", "Cluster", "Node", "Nanomsg", "Sealing", "Transports", "Management",
                "Proxy", "Routes", "Scripting", "Callbacks", "Storage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings,
            // A number for every binary, which --version and the status tell.
            linkerSettings: [.unsafeFlags(["-Xlinker", "--build-id=sha1"])],
            plugins: ["Checkout"]),
        .plugin(name: "Checkout", capability: .buildTool(), path: "Sources/Checkout"),
        // What programs in a node's process are told of dialogs, and an example of one: a node that writes call
        // records.
        module("Callbacks", ["Primitives", "Dialogs", "Proxy", "Node", "Nanomsg", "Transports"]),
        .executableTarget(
            name: "understudy-records",
            dependencies: [
                "Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node", "Nanomsg", "Sealing", "Transports",
                "Management", "Callbacks",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),
        module(
            "Simulator", ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Routes", "Node", "Scripting"]),
        .executableTarget(
            name: "understudy-sim",
            dependencies: [
                "Primitives", "Simulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["Excuses.txt"], swiftSettings: swiftSettings),

        // What `Deploy/fuzz` and `swift test` throw bytes at, and the program that libFuzzer drives.
        module("Fuzzing", ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node"]),
        .executableTarget(name: "understudy-fuzz", dependencies: ["Fuzzing"], swiftSettings: swiftSettings),

        // What a call and its parts cost, counted by `Deploy/benchmark`.
        .target(name: "CAllocations"),
        .target(
            name: "Benchmarks",
            dependencies: ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Routes", "Node", "Scripting"],
            exclude: ["Thresholds.txt"], swiftSettings: swiftSettings),
        .executableTarget(
            name: "understudy-bench", dependencies: ["Benchmarks", "CAllocations", "Sealing"],
            swiftSettings: swiftSettings),

        // Tests: one folder per module, then whole-system suites.
        tests("PrimitivesTests", ["Primitives"]),
        tests("SIPTests", ["Primitives", "SIP", "Fuzzing"]),
        tests(
            "DialogsTests",
            ["Primitives", "SIP", "Dialogs", .product(name: "SwiftProtobuf", package: "swift-protobuf")]),
        tests("ProxyTests", ["Primitives", "SIP", "Dialogs", "Proxy", "Fuzzing"]),
        tests("RoutesTests", ["Primitives", "SIP", "Dialogs", "Routes"]),
        tests("ScriptingTests", ["Primitives", "SIP", "Dialogs", "Proxy", "Node", "Routes", "Scripting"]),
        tests("ClusterTests", ["Primitives", "Cluster", "Simulator"]),
        tests("NodeTests", ["Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node"]),
        tests(
            "SealingTests",
            [
                "Primitives", "Cluster", "Node", "Nanomsg", "Sealing", "Transports",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        tests(
            "TransportsTests",
            [
                "Primitives", "SIP", "Proxy", "Node", "Nanomsg", "Transports",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests(
            "ManagementTests",
            [
                "Primitives", "SIP", "Dialogs", "Proxy", "Cluster", "Node", "Management",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests(
            "StorageTests", ["Dialogs", "Node", "Storage", .product(name: "GRDB", package: "GRDB.swift")]),
        tests("SimulationTests", ["Primitives", "Simulator"]),
        tests("CallbacksTests", ["Primitives", "SIP", "Proxy", "Node", "Callbacks"]),
        .testTarget(
            name: "FuzzTests", dependencies: ["Fuzzing"], exclude: ["Corpus"], swiftSettings: swiftSettings),
        tests("BenchmarksTests", ["Benchmarks"]),
        tests("ConformanceTests"),
        tests("TidyTests"),
    ]
)
