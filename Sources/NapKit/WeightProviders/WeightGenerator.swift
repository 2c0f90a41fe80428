import Foundation
import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapSearch
import NapTensor
import NapTraining

/// Generates the weights of convolutions from how wide the layers around them are: of each, two dense layers from the
/// shares of the sets that touch it.
///
/// Its outputs are dense weights of the whole network; of smaller widths, those of the units that are there count.
///
/// - Source: Liu et al. 2019 (MetaPruning), arXiv:1903.10258.
final class WeightGenerator {
  /// Of a convolution.
  private struct Layer {
    let weight: ValueID
    let count: Int
    /// Sets that its channels belong to; none gives a constant.
    let sets: [Int]
  }

  private let layers: [Layer]
  private let plan: Plan
  private let optimizer: NesterovSGD
  private let full: [Int]

  /// Hidden features, as published for all but MobileNetV2.
  private static let hidden = 32

  /// - Throws: `MemoryError` when there is too little for 33 times the network's weights and their momentum.
  init(for graph: Graph, _ space: WidthSpace, seed: Seed) throws {
    full = space.full
    let shapes = try graph.shapes(batch: 1)
    let places = space.full.indices.map { space.places(of: $0) }
    layers = graph.affineLayers(shapes: shapes).filter { $0.op is Conv && !$0.isShared }.map {
      layer in
      let weight = layer.node.inputs[1]
      let sets = places.indices.filter { set in places[set].keys.contains { $0.value == weight } }
      return Layer(weight: weight, count: layer.weight.count, sets: sets)
    }
    plan = try Plan(Self.graph(layers, seed), mode: .training, batch: 1)
    optimizer = NesterovSGD(plan, .init(momentum: 0.9, weightDecay: 4e-5))
  }

  private static func graph(_ layers: [Layer], _ seed: Seed) -> Graph {
    var graph = Graph()
    for (index, layer) in layers.enumerated() {
      var random = seed.derived("generator").derived(index).generator()
      /// Of a dense layer, drawn as PyTorch does.
      func constant(_ name: String, _ shape: [Int], inputs: Int) -> ValueID {
        let bound = 1 / Float(inputs).squareRoot()
        return graph.addConstant(
          "\(name).\(index)",
          Tensor(
            shape: shape,
            floats: (0..<shape.product).map { _ in bound * (2 * random.uniform() - 1) }))
      }
      let inputs = max(1, layer.sets.count)
      let shares = graph.addValue("shares.\(index)")
      graph.inputs.append(.init(value: shares, dimensions: [.fixed(1), .fixed(inputs)]))
      var (value, width) = (shares, inputs)
      for (name, outputs) in [("hidden", hidden), ("weights", layer.count)] {
        let parameters = [
          value, constant("\(name).w", [outputs, width], inputs: width),
          constant("\(name).b", [outputs], inputs: width),
        ]
        value = graph.addNode("\(name).\(index)", Gemm(), parameters)[0]
        if name == "hidden" { value = graph.addNode("relu.\(index)", Relu(), [value])[0] }
        width = outputs
      }
      graph.outputs.append(.init(value: value, dimensions: [.fixed(1), .fixed(layer.count)]))
    }
    return graph
  }

  /// Writes the weights at some widths.
  func generate(_ widths: [Int], into parameters: Parameters) {
    for (index, layer) in layers.enumerated() {
      let shares = layer.sets.map { Float(widths[$0]) / Float(full[$0]) }
      for (place, share) in (shares.isEmpty ? [1] : shares).enumerated() {
        plan.inputs[index][place] = share
      }
    }
    plan.forward()
    for (index, layer) in layers.enumerated() {
      parameters.pointer(layer.weight).update(from: plan.outputs[index], count: layer.count)
    }
  }

  /// Goes a step where the gradients of the weights that were generated last point.
  ///
  /// - Returns: whether all is finite still.
  func step(_ gradients: [ValueID: UnsafeMutablePointer<Float>], learningRate: Double) -> Bool {
    for (index, layer) in layers.enumerated() {
      if let gradient = gradients[layer.weight] {
        plan.outputGradients[index].update(from: gradient, count: layer.count)
      } else {
        plan.outputGradients[index].update(repeating: 0, count: layer.count)
      }
    }
    plan.backward()
    return optimizer.step(learningRate: Float(learningRate)) == nil
  }

  struct State: Codable {
    fileprivate var parameters: [ValueID: Data]
    fileprivate var optimizer: NesterovSGD.State
  }

  var state: State {
    get { State(parameters: plan.parameters.bits, optimizer: optimizer.state) }
    set {
      plan.parameters.bits = newValue.parameters
      optimizer.state = newValue.optimizer
    }
  }
}
