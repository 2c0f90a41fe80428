import Foundation
import NapGraph
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// What holds for every operator: a new one inherits these tests by being registered.
@Suite struct OperatorLaws {
  @Test func registryIsAlphabeticalAndWithoutDuplicates() {
    let names = allOperators.map { $0.name }
    #expect(names == Set(names).sorted())
  }

  @Test func everyOperatorHasASample() {
    let sampled = Set(OperatorSample.all.map(\.op.name))
    #expect(sampled == Set(allOperators.map { $0.name }))
  }

  @Test(arguments: OperatorSample.all)
  func inferredShapesAreTheComputedOnes(_ sample: OperatorSample) throws {
    let outputs = sample.op.forward(sample.inputs)
    #expect(try sample.op.infer(sample.inputs.map(\.shape)) == outputs.map(\.shape))
    #expect(outputs.count == sample.outputCount)
  }

  /// Networks on the way of a job come back as they were.
  @Test(arguments: OperatorSample.all)
  func codingIsExact(_ sample: OperatorSample) throws {
    let node = Node(name: "node", op: sample.op, inputs: [ValueID(1)], outputs: [ValueID(2)])
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    let decoder = PropertyListDecoder()
    decoder.userInfo[.operators] = OperatorRegistry.all
    let again = try decoder.decode(Node.self, from: encoder.encode(node))
    #expect("\(again)" == "\(node)")
  }

  @Test(arguments: OperatorSample.all)
  func macsAreNotNegative(_ sample: OperatorSample) {
    let outputs = sample.op.forward(sample.inputs).map(\.shape)
    #expect(sample.op.macs(inputs: sample.inputs.map(\.shape), outputs: outputs) >= 0)
  }

  /// Compares every partial derivative of a random projection of the outputs.
  @Test(arguments: OperatorSample.all)
  func pullbackAgreesWithFiniteDifferences(_ sample: OperatorSample) throws {
    // Central differences of float32 functions of size 1: rounding gives about 1e-4, curvature
    // about as much.
    let (width, tolerance): (Float, Double) = (0.01, 1e-3)
    let outputs = sample.op.forward(sample.inputs)
    let directions = outputs.enumerated().map { Tensor.random($1.shape, seed: 100 + $0) }
    func projection(_ inputs: [Tensor]) -> Double {
      zip(sample.op.forward(inputs), directions).reduce(0) { sum, pair in
        zip(pair.0.floats, pair.1.floats).reduce(sum) { $0 + Double($1.0) * Double($1.1) }
      }
    }
    let gradients = sample.op.pullback(sample.inputs, outputs, directions)
    try #require(gradients.count == sample.inputs.count)
    for (n, gradient) in gradients.enumerated() {
      #expect((gradient != nil) == sample.differentiable.contains(n), "input \(n)")
      guard let gradient else { continue }
      #expect(gradient.shape == sample.inputs[n].shape, "input \(n)")
      let differences = sample.inputs[n].floats.indices.map { i in
        var (above, below) = (sample.inputs, sample.inputs)
        above[n].floats[i] += width
        below[n].floats[i] -= width
        let step = Double(above[n].floats[i]) - Double(below[n].floats[i])
        return Float((projection(above) - projection(below)) / step)
      }
      #expect(relativeDifference(gradient.floats, differences) < tolerance, "input \(n)")
    }
  }

  @Test(arguments: OperatorSample.all)
  func exportingAndImportingGivesTheSameFunction(_ sample: OperatorSample) throws {
    let written = WrittenNode(sample)
    let type = try #require(OperatorRegistry.all[written.description.operatorType])
    let imported = try type.importing(written.description)
    let inputs = try imported.inputs.map { try #require(written.tensors[$0]) }
    #expect(imported.op.forward(inputs) == sample.op.forward(sample.inputs))
  }

  @Test(arguments: OperatorSample.all)
  func inputsThatAreMissingAreRefused(_ sample: OperatorSample) {
    #expect(throws: OperatorError.self) { try sample.op.infer([]) }
    var description = WrittenNode(sample).description
    description.inputs = []
    #expect(throws: OperatorError.self) { try type(of: sample.op).importing(description) }
  }
}

/// A sample as it would stand in a file.
struct WrittenNode {
  var description: NodeDescription
  /// The inputs by ONNX position.
  var tensors: [Int: Tensor] = [:]

  init(_ sample: OperatorSample) {
    let exported = sample.op.exported()
    let positions = exported.inputPositions ?? Array(sample.inputs.indices)
    let known = Set(sample.constantInputs.map { positions[$0] }).union(exported.constants.keys)
    for (position, tensor) in zip(positions, sample.inputs) { tensors[position] = tensor }
    tensors.merge(exported.constants) { $1 }
    let inputs = (0..<(tensors.keys.max() ?? -1) + 1).map { [tensors] position in
      tensors[position].map {
        NodeDescription.Input(shape: $0.shape, constant: known.contains(position) ? $0 : nil)
      }
    }
    description = NodeDescription(
      name: "sample", operatorType: exported.operatorType, opset: exported.opset,
      attributes: exported.attributes, inputs: inputs, outputCount: sample.outputCount)
  }
}
