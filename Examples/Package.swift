// swift-tools-version: 6.0
import PackageDescription

let settings: [SwiftSetting] = [.enableUpcomingFeature("MemberImportVisibility")]

/// A program that needs nothing but the library.
func example(_ name: String) -> Target {
  .executableTarget(
    name: name, dependencies: [.product(name: "NapKit", package: "nap")], swiftSettings: settings)
}

let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "nap", path: "..")],
  targets: [
    example("OwnData"), example("OwnCriterion"), example("BuildNetwork"), example("Progress"),
    example("FromREADME"),
  ])
