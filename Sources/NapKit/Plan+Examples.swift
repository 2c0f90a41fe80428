import NapData
import NapEngine
import NapTensor

/// Some examples as numbers, kept after their batch is gone.
struct Examples {
  /// Dense, `[count, …]` each, one for every input.
  let inputs: [[Float]]
  /// Dense, in the order of the data set; empty without targets.
  let targets: [[Float]]
  let count: Int

  init(_ batch: Batch, of data: any Dataset) {
    func copies(_ arrays: [UnsafePointer<Float>], _ fields: [Field]) -> [[Float]] {
      zip(arrays, fields).map {
        Array(UnsafeBufferPointer(start: $0, count: batch.count * $1.count))
      }
    }
    inputs = copies(batch.inputs, data.inputs)
    targets = copies(batch.targets, data.targets)
    count = batch.count
  }
}

extension Plan {
  /// What the network says of some examples, output by output; no more than a batch.
  func outputs(of examples: Examples) -> [[Float]] {
    withPointers(examples.inputs) { setInputs($0, count: examples.count) }
    forward()
    return zip(outputs, outputShapes).map {
      Array(UnsafeBufferPointer(start: $0, count: examples.count * $1.dropFirst().product))
    }
  }
}
