import NapGraph
import NapONNX
import NapOperators

/// What nap can read.
public enum OperatorList {
  /// ONNX operators a network may hold.
  public static var names: [String] { allOperators.map { $0.name } }
  /// ONNX operators that are understood where they can be computed before running.
  public static var foldedNames: [String] {
    ONNXReader.foldedOperators.filter { !names.contains($0) }
  }
  /// Opsets of the default domain.
  public static var opsets: ClosedRange<Int> { supportedOpsets }
}
