import NapEngine
import NapTensor

extension Plan {
  /// What the network says of some examples, output by output.
  ///
  /// - Parameter numbers: of the first input, no more than a batch; dense.
  func outputs(of numbers: [Float]) -> [[Float]] {
    let count = numbers.count / max(1, inputShapes[0].dropFirst().product)
    inputs[0].update(from: numbers, count: numbers.count)
    forward()
    return zip(outputs, outputShapes).map {
      Array(UnsafeBufferPointer(start: $0, count: count * $1.dropFirst().product))
    }
  }
}
