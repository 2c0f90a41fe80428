import ArgumentParser
import NapKit
import NapReport

struct Operators: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the ONNX operators that nap understands.")

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    if json {
      struct Listing: Encodable {
        let operators: [String]
        let folded: [String]
      }
      let listing = Listing(operators: OperatorList.names, folded: OperatorList.foldedNames)
      return try Terminal.print(listing.renderedAsJSON())
    }
    try Terminal.print(
      "ONNX opsets \(OperatorList.opsets.lowerBound) to \(OperatorList.opsets.upperBound)\n")
    try Terminal.print("In a network:\n  " + OperatorList.names.joined(separator: "\n  "))
    try Terminal.print(
      "\nWhere they can be computed before running (shapes and constants):\n  "
        + OperatorList.foldedNames.joined(separator: "\n  "))
  }
}
