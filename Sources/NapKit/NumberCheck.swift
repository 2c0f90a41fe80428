package import NapData
import NapEngine
package import NapGraph
import NapOperators
import NapTensor

/// Numbers that are none, or infinite, are found where they first appear, before any work is done with them.
extension Graph {
  /// The first constant that holds NaN, or an infinite number where that is no mask: something that is added
  /// or chosen may be infinite.
  package var brokenConstant: ValueID? {
    let consumers = consumers
    return constants.filter { value, tensor in
      guard let place = tensor.floats.firstIndex(where: { !$0.isFinite }) else { return false }
      let isMask = consumers[value.index].allSatisfy {
        nodes[$0].op is any BroadcastingOperator || nodes[$0].op is Where
      }
      return !isMask || tensor.floats[place...].contains(where: \.isNaN)
    }.keys.min()
  }

  /// - Throws: `UsageError` that names a constant of the network which is not finite.
  package func checkConstants() throws {
    guard let value = brokenConstant else { return }
    let readers = consumers[value.index].map { "'\(nodes[$0].name)'" }
    throw UsageError(
      "'\(name(of: value))', which node \(readers.joined(separator: " and ")) reads, holds NaN or infinite numbers",
      recovery: "export the network again from a checkpoint that is sound")
  }

  /// Runs the first examples, and those that are furthest from zero, and looks at every value on the way.
  ///
  /// - Throws: as with examples that are chosen.
  package func checkValues(on data: any Dataset, _ preset: Preset) throws {
    let first = Array(0..<min(32, data.count))
    let furthest = try data.examplesFurthestFromZero(8).filter { $0 >= first.count }
    try checkValues(on: data, preset, examples: first + furthest)
  }

  /// Runs some examples and looks at every value on the way.
  ///
  /// - Throws: `UsageError` that names the value and the example where NaN or infinity first appear.
  package func checkValues(on data: any Dataset, _ preset: Preset, examples: [Int]) throws {
    guard !examples.isEmpty else { return }
    let batch = batchSize(upTo: min(32, examples.count))
    let plan = try Plan(self, batch: batch, checksNumbers: true)
    let epoch = Loader(
      dataset: Subset(data, indices: examples), preset: preset, batchSize: batch,
      shuffle: false, augment: false, dropLast: false, seed: Seed(0)
    ).epoch(0)
    while let images = try epoch.next() {
      plan.setInputs(images.inputs, count: images.count)
      plan.forward()
      try check(plan.firstBroken, of: images.sides.map { examples[$0.index] })
    }
  }

  /// - Parameter examples: those of the batch, by their number in the data.
  func check(_ broken: BrokenNumber?, of examples: [Int]) throws {
    guard let broken else { return }
    let of = broken.example < examples.count ? " of example \(examples[broken.example])" : ""
    let node = producers[broken.value.index].map { nodes[$0] }
    throw UsageError(
      "value '\(name(of: broken.value))'\(of), computed by node '\(node?.name ?? "")' (\(node?.op.name ?? "")), is NaN or infinite",
      recovery: "check the weights before that node, the data and --preset")
  }
}
