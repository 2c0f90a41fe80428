import NapEngine
import NapGraph
import NapKernels
import NapTensor

extension PlanBuilder {
  /// `y = x wᵀ + b` for the constant weight of a dense layer, with `x` as `[rows, inputs]`.
  ///
  /// - Parameter transposed: whether the weight is stored as `[inputs, outputs]`.
  func lowerInnerProduct(
    input x: ValueID, weight w: ValueID, bias: ValueID?, output y: ValueID, transposed: Bool,
    label: String
  ) throws -> BackwardLowering {
    let (inputs, outputs) = transposed ? (shape(w)[0], shape(w)[1]) : (shape(w)[1], shape(w)[0])
    let rows = shape(x).product / max(1, inputs)
    let view =
      transposed
      ? Layout([outputs, inputs], strides: [1, outputs]) : Layout(dense: [outputs, inputs])
    let (xShape, yShape) = ([rows, inputs], [rows, outputs])
    let biasLayout = bias.map { Layout(dense: shape($0)) }
    let kernel = try PreparedKernel.innerProductForward(
      source: Layout(dense: xShape, scalar), weights: Layout(any: view.shape, scalar),
      bias: biasLayout, destination: Layout(dense: yShape, scalar))
    let source = try matrix(buffer(x), shape(x), xShape)
    let output = makeBuffer(Layout(dense: yShape, scalar))
    define(y, as: reshaped(output, to: shape(y)))
    var arguments: [(KernelArgument, BufferID)] = [
      (.source, source), (.destination, output),
      (.weights, try parameter(w, as: kernel.layout(.weights), through: view)),
    ]
    if let bias { arguments.append((.bias, parameter(bias))) }
    run(kernel, label, arguments)

    return { [self] in
      guard let raw = try gradient(y) else { return }
      let gradient = try matrix(raw, shape(y), yShape)
      if trains(w) {
        let kernel = try PreparedKernel.innerProductBackwardWeights(
          source: Layout(dense: xShape, scalar), weightsGradient: Layout(any: view.shape, .float32),
          biasGradient: biasLayout, destinationGradient: Layout(dense: yShape, scalar))
        try receiveGradient(of: w, kernel.layout(.weightsGradient), through: view) { target in
          let arguments: [(KernelArgument, BufferID)] = [
            (.source, source), (.destinationGradient, gradient), (.weightsGradient, target),
          ]
          guard let bias, let biasLayout else {
            return run(kernel, "\(label) weight gradient", arguments)
          }
          try receiveGradient(of: bias, biasLayout) { target in
            run(kernel, "\(label) weight gradient", arguments + [(.biasGradient, target)])
          }
        }
      }
      guard needsGradient(x) else { return }
      let kernel = try PreparedKernel.innerProductBackwardData(
        sourceGradient: Layout(dense: xShape, scalar), weights: Layout(any: view.shape, scalar),
        destinationGradient: Layout(dense: yShape, scalar))
      let result = makeBuffer(Layout(dense: xShape, scalar))
      run(
        kernel, "\(label) input gradient",
        [
          (.destinationGradient, gradient), (.sourceGradient, result),
          (.weights, try parameter(w, as: kernel.layout(.weights), through: view)),
        ])
      contribute(reshaped(result, to: shape(x)), to: x)
    }
  }

  /// A value's buffer as a dense matrix of the plan's type.
  private func matrix(_ buffer: BufferID, _ shape: [Int], _ matrix: [Int]) throws -> BufferID {
    reshaped(try converted(buffer, to: Layout(dense: shape, scalar)), to: matrix)
  }
}
