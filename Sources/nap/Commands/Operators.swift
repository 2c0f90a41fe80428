import ArgumentParser
import NapKit

struct Operators: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the ONNX operators that nap understands.")

  func run() throws {
    print("ONNX opsets \(OperatorList.opsets.lowerBound) to \(OperatorList.opsets.upperBound)\n")
    print("In a network:\n  " + OperatorList.names.joined(separator: "\n  "))
    print(
      "\nWhere they can be computed before running (shapes and constants):\n  "
        + OperatorList.foldedNames.joined(separator: "\n  "))
  }
}
