import NapEngine
import NapGraph
import NapTensor
import NapTestSupport
import Testing

/// Layers of few inputs and many outputs, as decoders and generators have: oneDNN 2.6.3 ends the process there.
@Test(arguments: [(4, 1536), (32, 1536), (32, 4608), (16, 18432), (40, 2000)], [1, 5])
func inputGradientsOfWideLayersAreRight(_ shape: (inputs: Int, outputs: Int), _ batch: Int) throws {
  var network = SmallNetwork()
  let x = network.input([3])
  let hidden = network.linear(x, 3, shape.inputs, "a")
  network.output(network.linear(hidden, shape.inputs, shape.outputs, "b"), [shape.outputs])
  let graph = network.graph
  let plan = try Plan(graph, mode: .training, batch: batch)
  for i in 0..<batch * 3 { plan.inputs[0][i] = Float(i % 5) - 1 }
  plan.forward()
  plan.outputGradients[0].update(repeating: 1, count: batch * shape.outputs)
  plan.backward()
  // Of the sum of all outputs: column sums of the second weight, times the inputs' sums.
  let weights = graph.nodes.map { $0.inputs[1] }
  let second = try #require(graph.constants[weights[1]]).floats
  let gradient = try #require(plan.parameterGradients[weights[0]])
  for h in 0..<shape.inputs {
    let column = (0..<shape.outputs).reduce(0.0) { $0 + Double(second[$1 * shape.inputs + h]) }
    for j in 0..<3 {
      let sum = (0..<batch).reduce(0.0) { $0 + Double(plan.inputs[0][$1 * 3 + j]) }
      #expect(abs(Double(gradient[h * 3 + j]) - column * sum) < 1e-3 * max(1, abs(column * sum)))
    }
  }
}
