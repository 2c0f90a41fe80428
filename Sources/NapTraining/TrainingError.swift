package import NapData
import NapEngine
package import NapGraph
import NapTensor

/// Why training stopped.
package enum TrainingError: RecoverableError, Equatable {
  case diverged(step: Int, learningRate: Double)
  case notFinite(name: String, step: Int, learningRate: Double)
  case classCount(network: Int, data: Int)
  case inputShape(network: [Int], data: [Int])
  case outputShape([Int])
  case tooFewImages(count: Int, batchSize: Int)
  case noLabels
  case teacherShape(teacher: [Int], network: [Int])

  package var problem: String {
    switch self {
    case .diverged(let step, let rate):
      "the loss is not a number, or grows out of hand, after \(step) steps at learning rate \(rate)"
    case .notFinite(let name, let step, let rate):
      "'\(name)', or its gradient, is NaN or infinite after \(step) steps at learning rate \(rate)"
    case .classCount(let network, let data):
      "the network distinguishes \(network) classes, but the data has \(data)"
    case .inputShape(let network, let data):
      "the network takes images of shape \(Self.text(network)), but the data has \(Self.text(data))"
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
    case .classCount, .inputShape:
      "give the data set the network was trained on, or another --preset"
    case .outputShape: "only classifiers with one output can be trained on labels"
    case .tooFewImages: "give a smaller --batch-size"
    case .noLabels: "give labelled images, or another network with --teacher"
    case .teacherShape:
      "give a teacher for the same images and classes, and for batches of any size"
    }
  }

  private static func text(_ shape: [Int]) -> String {
    shape.map(String.init).joined(separator: "x")
  }
}

extension Graph {
  /// - Throws: `TrainingError` when the network does not fit the data.
  package func check(fits data: any Dataset) throws {
    try checkExamples()
    if data.isLabelled {
      try checkClassifier(imageShape: data.imageShape, classes: data.classNames.count)
    } else {
      try checkInput(imageShape: data.imageShape)
    }
  }

  private func checkInput(imageShape: [Int]) throws {
    guard inputs.count == 1 else {
      throw GraphError.invalid(
        "the network has \(inputs.count) inputs; data sets of images need one")
    }
    let shape = try shapes(batch: 2)[inputs[0].value.index]
    let input = Array(shape.dropFirst())
    guard input == imageShape else {
      throw TrainingError.inputShape(network: input, data: imageShape)
    }
  }

  /// - Throws: `TrainingError` when this is no classifier of images of the given shape.
  package func checkClassifier(imageShape: [Int], classes: Int) throws {
    try checkInput(imageShape: imageShape)
    guard outputs.count == 1 else {
      throw GraphError.invalid(
        "the network has \(outputs.count) outputs, but labels are for one; give images without labels"
      )
    }
    let shapes = try shapes(batch: 2)
    let output = shapes[outputs[0].value.index]
    guard output.count == 2, output[0] == shapes[inputs[0].value.index][0] else {
      throw TrainingError.outputShape(output)
    }
    guard output[1] == classes else {
      throw TrainingError.classCount(network: output[1], data: classes)
    }
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
