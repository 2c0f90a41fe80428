import NapEngine
import NapGraph
import NapKernels
@testable import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Kernels against what the operator specifies, by size: blocks that are full or not, tiles that are, windows that
/// reach beyond the image or not.
@Suite(.serialized, .enabled(if: canSkipChannels)) struct SkippingConvolutionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let channels: (Int, Int)
    let size: (Int, Int)
    var window: Window
    var open = 0.5

    init(
      _ channels: (Int, Int), _ size: (Int, Int), kernel: Int = 3, stride: Int = 1,
      dilation: Int = 1, pads: ([Int], [Int])? = nil, open: Double = 0.5
    ) {
      (self.channels, self.size, self.open) = (channels, size, open)
      let same = [Int](repeating: dilation * (kernel / 2), count: 2)
      let pads = pads ?? (same, same)
      window = Window(
        kernel: [kernel, kernel], strides: [stride, stride], dilations: [dilation, dilation],
        padding: .explicit(begin: pads.0, end: pads.1))
    }

    var testDescription: String { "\(channels), \(size), \(window.kernel[0]), \(open)" }
  }

  static let cases = [
    Case((8, 8), (8, 8)), Case((16, 16), (32, 32)), Case((16, 24), (16, 16)),
    Case((64, 40), (12, 20)), Case((20, 12), (9, 9)), Case((33, 65), (7, 14)),
    Case((5, 3), (6, 6)), Case((24, 24), (5, 37)), Case((48, 96), (28, 28)),
    Case((16, 16), (8, 8), pads: ([0, 0], [0, 0])), Case((16, 16), (8, 8), pads: ([2, 1], [0, 2])),
    Case((16, 16), (8, 12), open: 0.05), Case((32, 32), (8, 12), open: 1),
    Case((256, 64), (4, 4)), Case((40, 40), (2, 2)), Case((40, 24), (1, 1)),
    Case((24, 40), (14, 14), stride: 2), Case((24, 40), (15, 9), kernel: 5),
    Case((24, 40), (13, 13), dilation: 2), Case((64, 136), (14, 14), kernel: 1),
    Case((64, 24), (14, 14), kernel: 1, stride: 2), Case((12, 20), (56, 56), kernel: 1),
  ]

  private struct Trial {
    let graph: Graph
    let inputs: [Tensor]

    init(_ c: Case, images: Int, isAlike: Bool, seed: UInt64) throws {
      var random = Seed(seed).generator()
      func numbers(_ shape: [Int]) -> Tensor {
        Tensor(shape: shape, floats: (0..<shape.product).map { _ in 2 * random.uniform() - 1 })
      }
      // Blocks are closed, or some of their channels.
      func gates(_ channels: Int) -> Tensor {
        let floats = (0..<images).flatMap { _ in
          (0..<(channels + 7) / 8).flatMap { block -> [Float] in
            let (isOpen, isPart) = (Double(random.uniform()) < c.open, random.uniform() < 0.5)
            return (0..<min(8, channels - 8 * block)).map { _ in
              isOpen && !(isPart && random.uniform() < 0.5) ? 0.5 + random.uniform() : 0
            }
          }
        }
        return Tensor(shape: [images, channels], floats: floats)
      }
      let (inputs, outputs) = c.channels
      var graph = Graph()
      var weight = numbers([outputs, inputs] + c.window.kernel)
      if !isAlike { weight.floats[0] = 1e4 }
      let x = graph.addValue("x")
      graph.inputs = [Self.port(x, [inputs, c.size.0, c.size.1])]
      var images = numbers([images, inputs, c.size.0, c.size.1])
      let node = Conv(window: c.window)
      let y = try node.infer([images.shape, weight.shape])[0]
      let (open, all) = (gates(inputs), gates(outputs))
      // What is closed may be anything.
      let positions = c.size.0 * c.size.1
      for (channel, gate) in open.floats.enumerated() where gate == 0 {
        images.floats[channel * positions] = .nan
      }
      var operands = [x, graph.addConstant("w", weight), graph.addConstant("b", numbers([outputs]))]
      var values = [images]
      for (name, value) in [("in", open), ("out", all), ("residual", numbers(y))] {
        let id = graph.addValue(name)
        graph.inputs.append(Self.port(id, Array(value.shape.dropFirst())))
        operands.append(id)
        values.append(value)
      }
      let results = [graph.addValue("y"), graph.addValue("means")]
      graph.nodes = [
        Node(
          name: "conv",
          op: SkippingConvolution(
            window: c.window, operands: [.bias, .inputGates, .outputGates, .residual],
            range: .init(lower: -0.5, upper: 4), last: .init(lower: -1, upper: 5)),
          inputs: operands, outputs: results)
      ]
      graph.outputs = results.map { Graph.Port(value: $0, dimensions: []) }
      (self.graph, self.inputs) = (graph, values)
    }

    private static func port(_ value: ValueID, _ sizes: [Int]) -> Graph.Port {
      Graph.Port(value: value, dimensions: [.dynamic("N")] + sizes.map { .fixed($0) })
    }

    func specified() -> [Float] {
      let node = graph.nodes[0]
      let constants = node.inputs.compactMap { graph.constants[$0] }
      return node.op.forward([inputs[0]] + constants + inputs.dropFirst()).flatMap(\.floats)
    }

    func computed() throws -> [Float] {
      let plan = try Plan(graph, batch: inputs[0].shape[0])
      for (input, tensor) in zip(plan.inputs, inputs) {
        input.update(from: tensor.floats, count: tensor.count)
      }
      plan.forward()
      return zip(plan.outputs, plan.outputShapes).flatMap { pointer, shape in
        Array(UnsafeBufferPointer(start: pointer, count: shape.product))
      }
    }
  }

  @Test(arguments: cases, [true, false]) func kernelsComputeWhatIsSpecified(
    _ c: Case, _ isAlike: Bool
  ) throws {
    for (index, images) in [1, 3].enumerated() {
      let trial = try Trial(c, images: images, isAlike: isAlike, seed: UInt64(index))
      #expect(relativeDifference(try trial.computed(), trial.specified()) < 1e-5)
    }
  }

  @Test(arguments: cases, [1, 3]) func threadsChangeNoBit(_ c: Case, _ images: Int) throws {
    let trial = try Trial(c, images: images, isAlike: true, seed: 2)
    let before = Threads.count
    defer { Threads.use(before) }
    let results = try [1, 2, 3, 5].map { threads in
      Threads.use(threads)
      return try trial.computed().map(\.bitPattern)
    }
    #expect(results.allSatisfy { $0 == results[0] })
  }
}
