package import NapEngine
package import NapGraph
import NapKernels
package import NapTensor

/// The transposed convolution: what the gradient of a convolution does to its input.
///
/// - Shapes: `x [N, C, …]`, `W [C, O/group, …]`, `b [O]`, `y [N, O, …]`.
package struct ConvTranspose: AffineOperator {
  package static let name = "ConvTranspose"

  /// The window of the convolution that leads from the output back to the input.
  package var window: Window
  package var group: Int
  /// Rows that the convolution would leave over at the end of every axis of the output.
  package var outputPadding: [Int]

  package init(window: Window, group: Int = 1, outputPadding: [Int]? = nil) {
    self.window = window
    self.group = group
    self.outputPadding = outputPadding ?? window.kernel.map { _ in 0 }
  }

  private var conv: Conv { Conv(window: window, group: group) }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    let weight = try node.shape(ofInput: 1)
    let kernel = try node.ints("kernel_shape") ?? Array(weight.dropFirst(2))
    let group = try node.int("group", default: 1)
    guard group > 0 else { throw OperatorError("attribute 'group' is \(group)") }
    guard try node.ints("output_shape") == nil else {
      throw OperatorError("attribute 'output_shape' is not supported, only pads are")
    }
    let window = try Window(node, kernel: kernel)
    guard case .explicit = window.padding else {
      throw OperatorError("attribute 'auto_pad' is not supported, only pads are")
    }
    let rest = try node.ints("output_padding") ?? kernel.map { _ in 0 }
    guard rest.count == kernel.count,
      zip(rest, window.strides).allSatisfy({ $0 >= 0 && $0 < $1 })
    else { throw OperatorError("attribute 'output_padding' is \(rest)") }
    let op = ConvTranspose(window: window, group: group, outputPadding: rest)
    return try ImportedOperator(op, first: node.hasInput(2) ? 3 : 2, of: node)
  }

  package func exported() -> ExportedOperator {
    var attributes = window.attributes
    attributes["group"] = .int(group)
    attributes["output_padding"] = .ints(outputPadding)
    return ExportedOperator(name, attributes: attributes)
  }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: inputs.count == 3 ? 3 : 2)
    let (x, w) = (inputs[0], inputs[1])
    guard x.count == window.kernel.count + 2, x.count > 2, x.count <= 5, w.count == x.count,
      Array(w.dropFirst(2)) == window.kernel, case .explicit(let begin, let end) = window.padding
    else {
      throw OperatorError("an input of shape \(x) and weights of shape \(w) do not fit together")
    }
    guard w[0] == x[1], w[0] % group == 0, w[1] > 0 else {
      throw OperatorError("weights of shape \(w) do not fit \(x[1]) channels in \(group) groups")
    }
    var sizes: [Int] = []
    for axis in window.kernel.indices {
      guard x[axis + 2] > 0, x[axis + 2] <= Int(Int32.max) else {
        throw OperatorError("an image of shape \(x) is impossible")
      }
      let extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
      let size =
        window.strides[axis] * (x[axis + 2] - 1) + extent + outputPadding[axis] - begin[axis]
        - end[axis]
      guard size > 0 else { throw OperatorError("the pads leave nothing of the output") }
      sizes.append(size)
    }
    let (channels, overflow) = w[1].multipliedReportingOverflow(by: group)
    guard !overflow else { throw OperatorError("the output is too large") }
    if inputs.count == 3, inputs[2] != [channels] {
      throw OperatorError("a bias of shape \(inputs[2]) does not fit \(channels) channels")
    }
    let shape = [x[0], channels] + sizes
    try shape.checkedElementCount()
    guard try window.outputSizes(sizes) == Array(x.dropFirst(2)) else {
      throw OperatorError("the window does not lead back to an image of shape \(x)")
    }
    return [shape]
  }

  package func link(_ links: inout IndexLinks) {
    // Seen from the output, it is a convolution.
    let shapes = links.inputShapes
    var back = IndexLinks(
      inputShapes: [links.outputShapes[0], shapes[1]], outputShapes: [shapes[0]])
    conv.link(&back)
    func own(_ axis: Axis) -> Axis {
      switch axis {
      case .input(0, let axis): .output(0, axis: axis)
      case .output(_, let axis): .input(0, axis: axis)
      default: axis
      }
    }
    for (a, b) in back.unions { links.unite(own(a.axis), a.index, own(b.axis), b.index) }
    for (atoms, reason) in back.frozen {
      for atom in atoms { links.freeze(own(atom.axis), atom.index, reason) }
    }
    if shapes.count == 3 { links.unite(.input(2, axis: 0), .output(0, axis: 1)) }
  }

  package func adapted(to cut: NodeCut) -> ConvTranspose {
    guard group > 1 else { return self }
    var result = self
    result.group = cut.keptOutputs[0][1].count / cut.inputShapes[1][1]
    return result
  }

  package func macs(inputs: [[Int]], outputs: [[Int]]) -> Int {
    (inputs[0] + inputs[1].dropFirst()).boundedProduct
  }

  package func role(ofInput index: Int) -> ParameterRole? {
    index == 1 ? .weight : index == 2 ? .bias : nil
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    let shape = inferred(inputs)[0]
    let origin = Tensor(shape: shape, repeating: 0)
    guard let y = conv.pullback([origin, inputs[1]], [inputs[0]], [inputs[0]])[0] else {
      return [origin]
    }
    guard inputs.count == 3 else { return [y] }
    let (positions, bias) = (shape.dropFirst(2).product, inputs[2].floats)
    let sums = y.floats.enumerated().map { $1 + bias[$0 / positions % shape[1]] }
    return [Tensor(shape: shape, floats: sums)]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let dy = cotangents[0]
    let dx = conv.forward([dy, inputs[1]])[0]
    let dw = conv.pullback([dy, inputs[1]], [inputs[0]], [inputs[0]])[1]
    guard inputs.count == 3 else { return [dx, dw] }
    var sums = [Double](repeating: 0, count: dy.shape[1])
    let positions = dy.shape.dropFirst(2).product
    for (i, value) in dy.floats.enumerated() { sums[i / positions % dy.shape[1]] += Double(value) }
    return [dx, dw, Tensor(shape: [dy.shape[1]], floats: sums.map(Float.init))]
  }
}

// MARK: Kronecker factors
extension ConvTranspose {
  package var weightOutputAxis: Int { 1 }
  package var weightInputAxis: Int { 0 }

  package func affineShape(_ inputs: [[Int]]) -> AffineShape? {
    guard let positions = try? infer(inputs)[0].dropFirst(2).product else { return nil }
    return AffineShape(
      groups: group, inputs: inputs[1][0] / group * window.kernel.product, outputs: inputs[1][1],
      positions: positions)
  }

  package func matrices(ofWeight weight: Tensor) -> Tensor {
    let (inputs, outputs) = (weight.shape[0] / group, weight.shape[1])
    let kernel = weight.shape.dropFirst(2).product
    return Self.swapped(weight, [group, inputs, outputs, kernel])
      .reshaped(to: [group, outputs, inputs * kernel])
  }

  package func weight(ofMatrices matrices: Tensor, shape: [Int]) -> Tensor {
    let kernel = shape.dropFirst(2).product
    return Self.swapped(matrices, [group, shape[1], shape[0] / group, kernel]).reshaped(to: shape)
  }

  /// A tensor seen with four axes, the middle two exchanged.
  private static func swapped(_ tensor: Tensor, _ shape: [Int]) -> Tensor {
    Transpose(permutation: [0, 2, 1, 3]).forward([tensor.reshaped(to: shape)])[0]
  }

  package var patchesArePositionMajor: Bool { false }

  /// What an output meets of the input: zero where the strides skip it.
  package func writePatches(
    of x: UnsafePointer<Float>, shape: [Int], examples: Range<Int>, group: Int, grid: PositionGrid,
    into rows: UnsafeMutablePointer<Float>
  ) -> Int {
    let sizes = Array(shape.dropFirst(2))
    let meetings = meetings(sizes, grid)
    // One to three spatial axes, seen as three.
    let three =
      Array(
        repeating: Meetings(count: 1, pairs: [[(0, 0)]]), count: 3 - sizes.count) + meetings
    let size = [Int](repeating: 1, count: 3 - sizes.count) + sizes
    let (image, positions) = (sizes.product, meetings.reduce(1) { $0 * $1.count })
    let channels = shape[1] / self.group
    var row = rows
    for n in examples {
      for c in 0..<channels {
        let source = x + (n * shape[1] + group * channels + c) * image
        for first in three[0].pairs {
          for second in three[1].pairs {
            for third in three[2].pairs {
              row.update(repeating: 0, count: positions)
              for (o0, i0) in first {
                for (o1, i1) in second {
                  let line = row + (o0 * three[1].count + o1) * three[2].count
                  let base = source + (i0 * size[1] + i1) * size[2]
                  for (o2, i2) in third { line[o2] = base[i2] }
                }
              }
              row += positions
            }
          }
        }
      }
    }
    return positions
  }

  /// Along one axis, how many outputs are on the grid, and by place in the kernel which of them meet
  /// which inputs.
  private struct Meetings {
    var count: Int
    var pairs: [[(output: Int, input: Int)]]
  }

  private func meetings(_ sizes: [Int], _ grid: PositionGrid) -> [Meetings] {
    guard case .explicit(let begin, let end) = window.padding else { return [] }
    return sizes.indices.map { axis in
      let (stride, dilation) = (window.strides[axis], window.dilations[axis])
      let outputs =
        stride * (sizes[axis] - 1) + (window.kernel[axis] - 1) * dilation + 1 + outputPadding[axis]
        - begin[axis] - end[axis]
      let phase = axis < grid.phases.count ? min(grid.phases[axis], outputs - 1) : 0
      let pairs = (0..<window.kernel[axis]).map { k in
        (0..<sizes[axis]).compactMap { input -> (output: Int, input: Int)? in
          let output = input * stride + k * dilation - begin[axis] - phase
          guard output >= 0, output + phase < outputs, output % grid.step == 0 else { return nil }
          return (output / grid.step, input)
        }
      }
      return Meetings(count: (outputs - phase + grid.step - 1) / grid.step, pairs: pairs)
    }
  }
}

// MARK: Lowering
extension ConvTranspose: Lowerable {
  package func lower(_ node: PlanNode, into plan: PlanBuilder) throws -> BackwardLowering {
    let (x, w, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    guard plan.isConstant(w), bias.map(plan.isConstant) ?? true else {
      throw PlanError("a transposed convolution with computed weights is not supported")
    }
    let window = self.window.geometry(Array(plan.shape(y).dropFirst(2)))
    let shape = plan.shape(w)
    let view = Layout(dense: group == 1 ? shape : [group, shape[0] / group] + shape[1...])
    func any(_ shape: [Int]) -> Layout { Layout(any: shape, plan.scalar) }
    let kernel = try PreparedKernel.convolutionBackwardData(
      sourceGradient: any(plan.shape(y)), weights: any(view.shape),
      destinationGradient: any(plan.shape(x)), window: window)
    let source = try plan.converted(plan.buffer(x), to: kernel.layout(.destinationGradient))
    let weights = try plan.parameter(w, as: kernel.layout(.weights), through: view)
    let product = plan.makeBuffer(kernel.layout(.sourceGradient))
    plan.run(
      kernel, name,
      [(.destinationGradient, source), (.weights, weights), (.sourceGradient, product)])
    let channels = plan.shape(y)[1]
    if let bias {
      let sum = plan.define(y, plan.layout(product))
      let broadcast = Layout(dense: [1, channels] + window.kernel.map { _ in 1 })
      let shift = plan.viewed(plan.parameter(bias), as: broadcast)
      plan.run(
        try .binary(
          .add, plan.layout(product), broadcast, destination: plan.layout(product)),
        "ConvTranspose bias", [(.source, product), (.source1, shift), (.destination, sum)])
    } else {
      plan.define(y, as: product)
    }
    return {
      if plan.trains(w) {
        let kernel = try PreparedKernel.convolutionBackwardWeights(
          source: any(plan.shape(y)), weightsGradient: Layout(any: view.shape, .float32),
          biasGradient: nil, destinationGradient: any(plan.shape(x)), window: window)
        guard let gradient = try plan.gradient(y) else { return }
        let dy = try plan.converted(gradient, to: kernel.layout(.source))
        let source = try plan.converted(plan.buffer(x), to: kernel.layout(.destinationGradient))
        try plan.receiveGradient(of: w, kernel.layout(.weightsGradient), through: view) { target in
          plan.run(
            kernel, "ConvTranspose weight gradient",
            [(.source, dy), (.destinationGradient, source), (.weightsGradient, target)])
        }
      }
      if let bias, plan.trains(bias), let gradient = try plan.gradient(y) {
        let dy = try plan.dense(gradient)
        let (batch, positions) = (plan.shape(y)[0], plan.shape(y).dropFirst(2).product)
        try plan.receiveGradient(of: bias, Layout(dense: [channels])) { target in
          plan.run("ConvTranspose bias gradient", touching: [dy, target]) { memory in
            let (dy, sums) = (memory.floats(dy), memory.floats(target))
            for c in 0..<channels {
              sums[c] = Float(
                (0..<batch).reduce(0) {
                  $0 + sum(dy + ($1 * channels + c) * positions, count: positions)
                })
            }
          }
        }
      }
      guard plan.needsGradient(x) else { return }
      let kernel = try PreparedKernel.convolutionForward(
        source: any(plan.shape(y)), weights: any(view.shape), bias: nil,
        destination: any(plan.shape(x)), window: window, training: true)
      guard let gradient = try plan.gradient(y, as: kernel.layout(.source)) else { return }
      let result = plan.makeBuffer(kernel.layout(.destination))
      plan.run(
        kernel, "ConvTranspose input gradient",
        [
          (.source, gradient),
          (.weights, try plan.parameter(w, as: kernel.layout(.weights), through: view)),
          (.destination, result),
        ])
      plan.contribute(result, to: x)
    }
  }
}
