import Foundation
package import NapData
import NapEngine
package import NapGraph
import NapOutputs
import NapTensor

/// Why training stopped.
package enum TrainingError: NapError, Equatable {
  case diverged(step: Int, learningRate: Double)
  case notFinite(name: String, step: Int, learningRate: Double)
  case classCount(network: Int, data: Int)
  /// The name where there are several.
  case inputShape(name: String?, network: [Int], data: [Int])
  case inputType(name: String)
  case outputShape([Int])
  case tooFewImages(count: Int, batchSize: Int)
  case noLabels
  case teacherShape(teacher: [Int], network: [Int])

  package var isFinal: Bool { true }

  package var problem: String {
    switch self {
    case .diverged(let step, let rate):
      "the loss is not a number, or grows out of hand, after \(step) steps at learning rate \(rate)"
    case .notFinite(let name, let step, let rate):
      "'\(name)', or its gradient, is NaN or infinite after \(step) steps at learning rate \(rate)"
    case .classCount(let network, let data):
      "the network distinguishes \(network) classes, but the data has \(data)"
    case .inputShape(let name, let network, let data):
      "\(name.map { "input '\($0)'" } ?? "the network") takes \(network.count == 3 ? "images" : "arrays") of shape \(Self.text(network)), but the data has \(Self.text(data))\(Self.hint(network, data))"
    case .inputType(let name):
      "input '\(name)' takes whole numbers, but the data holds floats"
    case .outputShape(let shape):
      "the network's output has shape \(Self.text(shape)), not examples x classes"
    case .tooFewImages(let count, let batchSize):
      "\(count) images do not fill one batch of \(batchSize)"
    case .noLabels: "the images have no labels"
    case .teacherShape(let teacher, let network):
      "the teacher has an input or output of shape \(Self.text(teacher)) where the network has \(Self.text(network))"
    }
  }

  package var recovery: String? {
    switch self {
    case .diverged, .notFinite:
      "the last good state is kept; try a smaller --learning-rate"
    case .inputType: "give it as int64 or int32"
    case .classCount, .inputShape:
      "give the data set the network was trained on, or another --preset"
    case .outputShape: "give targets that fit it, or data without targets and a --teacher"
    case .tooFewImages: "give a smaller --batch-size"
    case .noLabels: "give labelled images, or another network with --teacher"
    case .teacherShape:
      "give a teacher for the same images and classes, and for batches of any size"
    }
  }

  /// The same sizes in another order.
  private static func hint(_ network: [Int], _ data: [Int]) -> String {
    network.sorted() == data.sorted() ? ": the axes are in another order" : ""
  }

  private static func text(_ shape: [Int]) -> String {
    shape.map(String.init).joined(separator: "x")
  }
}

extension Graph {
  /// - Throws: `TrainingError` when the network's inputs do not fit the data.
  package func check(fits data: any Dataset) throws {
    try checkExamples()
    guard inputs.count == data.inputs.count else {
      throw GraphError.invalid(
        "the network has \(inputs.count) inputs, but the data has \(data.inputs.count) for each example; give arrays named as the inputs: "
          + inputs.map { name(of: $0.value) }.joined(separator: ", "))
    }
    let shapes = try shapes(batch: 2)
    for (port, field) in zip(inputs, data.inputs) {
      let input = Array(shapes[port.value.index].dropFirst())
      guard input == field.shape else {
        throw TrainingError.inputShape(
          name: inputs.count > 1 ? name(of: port.value) : nil, network: input, data: field.shape)
      }
      guard port.elementType == .float32 || field.isInteger else {
        throw TrainingError.inputType(name: name(of: port.value))
      }
    }
  }

  /// What outputs are, where nobody has found it out: by their shapes, and the data's labels.
  ///
  /// - Throws: `TrainingError` when labels are not for a classifier of as many classes.
  func guessedOutputs(_ shapes: [[Int]], for data: any Dataset) throws -> Outputs {
    let outputs = Outputs(guessing: shapes)
    guard data.isLabelled else { return outputs }
    guard outputs.areLearned, data.targets[0].count == 1 else {
      throw TrainingError.outputShape(shapes.first ?? [])
    }
    guard shapes[0][1] == data.classNames.count else {
      throw TrainingError.classCount(network: shapes[0][1], data: data.classNames.count)
    }
    return outputs
  }

  /// - Throws: `TrainingError.teacherShape` when another network's outputs cannot be imitated.
  package func check(taughtBy teacher: Graph, batch: Int) throws {
    try teacher.checkExamples()
    guard inputs.count == teacher.inputs.count, outputs.count == teacher.outputs.count else {
      throw GraphError.invalid("network and teacher have different numbers of inputs or outputs")
    }
    func ends(_ graph: Graph, _ batch: Int) throws -> [[Int]] {
      let shapes = try graph.shapes(batch: batch)
      return (graph.inputs + graph.outputs).map { shapes[$0.value.index] }
    }
    for size in [batch] + tellingBatches {
      for (own, other) in zip(try ends(self, size), try ends(teacher, size)) where own != other {
        throw TrainingError.teacherShape(teacher: other, network: own)
      }
    }
  }
}
