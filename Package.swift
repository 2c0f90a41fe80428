// swift-tools-version: 6.0
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A room of the house: a target that imports only what it lists, all of it on lower levels.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func example(_ name: String) -> Target {
  .executableTarget(
    name: "Example\(name)", dependencies: ["NapKit"], path: "Examples/Sources/\(name)",
    swiftSettings: [.enableUpcomingFeature("MemberImportVisibility")])
}

/// oneDNN's `include` and `lib` folders are in this one, where not the system's are to be used.
let oneDNN = Context.environment["NAP_ONEDNN"]

/// By its file: folders of other libraries are looked into first, and the system's oneDNN may be in one.
func linking(oneDNN folder: String) -> [String] {
  #if os(Linux)
    let flags = [
      "--push-state", "--no-as-needed", "\(folder)/lib/libdnnl.so", "--pop-state", "-rpath",
      "\(folder)/lib",
    ]
  #else
    let flags = ["\(folder)/lib/libdnnl.dylib", "-rpath", "\(folder)/lib"]
  #endif
  return flags.flatMap { ["-Xlinker", $0] }
}

let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yaml = Target.Dependency.product(name: "Yams", package: "Yams")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

/// Made by `scripts/fuzz` alone, as it needs what libFuzzer brings.
let fuzzer = Context.environment["NAP_FUZZER"] != nil

let package = Package(
  name: "nap",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "nap", targets: ["nap"]),
    .library(name: "NapKit", targets: ["NapKit"]),
  ] + (fuzzer ? [.library(name: "NapFuzzer", type: .static, targets: ["NapFuzzer"])] : []),
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // Level 0
    .systemLibrary(
      name: "CNapBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .yum(["openblas-devel"]), .brew(["openblas"])]),
    .systemLibrary(
      name: "CNapJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .yum(["turbojpeg-devel"]), .brew(["jpeg-turbo"])]),
    .systemLibrary(
      name: "CNapPNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"]), .yum(["libpng-devel"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CNapWebP", pkgConfig: "libwebp",
      providers: [.apt(["libwebp-dev"]), .yum(["libwebp-devel"]), .brew(["webp"])]),
    .systemLibrary(
      name: "CNapNLopt", pkgConfig: "nlopt",
      providers: [.apt(["libnlopt-dev"]), .yum(["NLopt-devel"]), .brew(["nlopt"])]),
    .target(
      name: "CNapDNN",
      cxxSettings: oneDNN.map { [.unsafeFlags(["-I\($0)/include"])] } ?? [],
      linkerSettings: oneDNN.map { [.unsafeFlags(linking(oneDNN: $0))] } ?? [.linkedLibrary("dnnl")]),
    .plugin(name: "StampCommit", capability: .buildTool()),
    .target(name: "NapVersion", swiftSettings: strict, plugins: ["StampCommit"]),
    room("NapTensor", []),
    room("NapReport", []),
    // Level 1
    room("NapKernels", ["NapTensor", "CNapBLAS", "CNapDNN"]),
    room("NapGraph", ["NapTensor"]),
    room("NapData", ["NapTensor", "CNapJPEG", "CNapPNG", "CNapWebP"]),
    // Level 2
    room("NapEngine", ["NapGraph", "NapKernels", "NapTensor"]),
    room("NapOutputs", ["NapData", "NapKernels", "NapTensor"]),
    .target(
      name: "NapONNX", dependencies: ["NapGraph", "NapTensor", protobuf],
      exclude: ["Wire/onnx.proto"], swiftSettings: strict),
    // Level 3
    room("NapOperators", ["NapEngine", "NapGraph", "NapKernels", "NapTensor"]),
    room(
      "NapTraining",
      ["NapData", "NapEngine", "NapGraph", "NapKernels", "NapOutputs", "NapTensor"]),
    room("NapCurvature", ["NapEngine", "NapGraph", "NapKernels", "NapOutputs", "NapTensor"]),
    // Level 4
    room("NapPruning", ["NapCurvature", "NapGraph", "NapKernels", "NapTensor"]),
    room(
      "NapDynamic",
      [
        "NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapOutputs", "NapTensor",
        "NapTraining",
      ]),
    // Level 5
    room("NapSearch", ["NapGraph", "NapKernels", "NapPruning", "NapTensor", "CNapNLopt"]),
    // Level 6
    room(
      "NapKit",
      [
        "NapCurvature", "NapData", "NapEngine", "NapGraph", "NapKernels", "NapONNX",
        "NapDynamic", "NapOperators", "NapOutputs", "NapPruning", "NapReport", "NapSearch",
        "NapTensor", "NapTraining", "NapVersion",
      ]),
    // Level 7
    .executableTarget(
      name: "nap", dependencies: ["NapKit", "NapReport", "NapTensor", arguments, logging, yaml],
      swiftSettings: strict),
    // What Examples/ builds as a package of its own, for the tests.
    example("OwnData"), example("OwnCriterion"), example("BuildNetwork"), example("Progress"),
    example("FromREADME"),
    // Tests mirror the sources.
    .target(
      name: "NapTestSupport",
      dependencies: ["NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapTensor"],
      path: "Tests/NapTestSupport",
      swiftSettings: strict),
    .target(
      name: "NapFuzzing",
      dependencies: [
        "NapData", "NapDynamic", "NapEngine", "NapGraph", "NapKit", "NapONNX", "NapOperators",
        "NapOutputs", "NapTensor", "NapTestSupport", protobuf,
      ], path: "Tests/NapFuzzing", exclude: ["Corpus"], swiftSettings: strict),
    tests(
      "NapFuzzingTests",
      ["NapData", "NapEngine", "NapFuzzing", "NapKit", "NapTensor", "NapTestSupport"]),
    tests("NapTensorTests", ["NapTensor", "NapTestSupport"]),
    tests("NapKernelsTests", ["NapKernels", "NapTensor", "NapTestSupport"]),
    tests("NapGraphTests", ["NapGraph", "NapOperators", "NapTensor", "NapTestSupport"]),
    tests("NapDataTests", ["NapData", "NapTensor", "NapTestSupport"]),
    tests(
      "NapONNXTests",
      ["NapGraph", "NapONNX", "NapOperators", "NapTensor", "NapTestSupport", protobuf]),
    tests(
      "NapOperatorsTests",
      ["NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapTensor", "NapTestSupport"]),
    tests(
      "NapEngineTests",
      ["NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapTensor", "NapTestSupport"]),
    tests(
      "NapTrainingTests",
      [
        "NapData", "NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapOutputs",
        "NapTensor", "NapTestSupport", "NapTraining",
      ]),
    tests("NapOutputsTests", ["NapData", "NapOutputs", "NapTensor"]),
    tests(
      "NapCurvatureTests",
      [
        "NapCurvature", "NapEngine", "NapGraph", "NapKernels", "NapOperators", "NapTensor",
        "NapTestSupport",
      ]),
    tests(
      "NapPruningTests",
      [
        "NapCurvature", "NapData", "NapEngine", "NapGraph", "NapKernels", "NapONNX", "NapOperators",
        "NapPruning", "NapTensor", "NapTestSupport",
      ]),
    tests(
      "NapDynamicTests",
      [
        "NapDynamic", "NapEngine", "NapGraph", "NapKernels", "NapONNX", "NapOperators",
        "NapOutputs", "NapTensor", "NapTestSupport", "NapTraining",
      ]),
    tests(
      "NapSearchTests",
      [
        "NapGraph", "NapKernels", "NapOperators", "NapPruning", "NapSearch", "NapTensor",
        "NapTestSupport",
      ]),
    tests(
      "NapKitTests",
      [
        "NapData", "NapDynamic", "NapEngine", "NapGraph", "NapKit", "NapONNX", "NapOperators",
        "NapOutputs", "NapPruning", "NapReport", "NapSearch", "NapTensor", "NapTestSupport", "NapTraining",
        protobuf,
      ]),
    tests(
      "napTests",
      ["nap", "NapData", "NapKit", "NapReport", "NapTensor", "NapTestSupport", arguments]),
  ]
    + (fuzzer
      ? [
        .target(
          name: "NapFuzzer", dependencies: ["NapFuzzing", "NapTensor"], path: "Tests/NapFuzzer",
          swiftSettings: strict)
      ]
      : []),
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)

/// Where only some tests are wanted, as under a sanitizer, the others need not be built.
if let wanted = Context.environment["NAP_TESTS"]?.split(separator: ",").map(String.init) {
  package.targets.removeAll { $0.type == .test && !wanted.contains($0.name) }
}
