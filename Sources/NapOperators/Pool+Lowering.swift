import NapEngine
import NapGraph
import NapKernels

extension PlanBuilder {
  /// Without a backward pass, which oneDNN's kernel says the positions to.
  private func runMaxPooling(
    _ window: WindowGeometry, input x: ValueID, output y: ValueID, label: String
  ) throws {
    func pooling(_ source: BufferID) -> MaxPooling? {
      MaxPooling(source: layout(source), destination: shape(y), window: window)
    }
    var source = try activation(x)
    if pooling(source) == nil {
      source = try converted(source, to: Layout(dense: shape(x), scalar))
    }
    guard let pooling = pooling(source) else { preconditionFailure("dense images can be pooled") }
    let output = define(y, pooling.destination)
    run(label, touching: [source, output], kernel: "max pool", output: output) { memory in
      pooling.forward(memory[source], into: memory[output])
    }
  }

  /// A pool over windows of the spatial axes.
  func lowerPooling(
    _ kind: PoolingKind, _ window: WindowGeometry, input x: ValueID, output y: ValueID,
    label: String
  ) throws -> BackwardLowering {
    if kind == .maximum, mode == .inference {
      try runMaxPooling(window, input: x, output: y, label: label)
      return {}
    }
    let source = try activation(x)
    let kernel = try PreparedKernel.poolingForward(
      kind, source: layout(source), destination: Layout(any: shape(y), scalar), window: window,
      training: mode != .inference)
    let output = define(y, kernel.layout(.destination))
    var arguments: [(KernelArgument, BufferID)] = [(.source, source), (.destination, output)]
    var workspace: [(KernelArgument, BufferID)] = []
    let workspaceLayout = kernel.layout(.workspace)
    if workspaceLayout.bytes > 0 { workspace = [(.workspace, makeBuffer(workspaceLayout))] }
    arguments += workspace
    run(kernel, label, arguments)
    if kind == .maximum, mayBreak(x),
      let pooling = MaxPooling(source: layout(source), destination: shape(y), window: window),
      pooling.destination == layout(output)
    {
      // oneDNN's kernel says the positions to the backward pass, but drops NaN.
      run("\(label) of NaN", touching: [source, output], kernel: "max pool", output: output) {
        pooling.forward($0[source], into: $0[output])
      }
    }
    return { [self] in
      guard needsGradient(x), let gradient = try gradient(y, as: layout(output)) else { return }
      let kernel = try PreparedKernel.poolingBackward(
        kind, sourceGradient: layout(source), destinationGradient: layout(output), window: window)
      let result = makeBuffer(layout(source))
      run(
        kernel, "\(label) gradient",
        workspace + [(.destinationGradient, gradient), (.sourceGradient, result)])
      contribute(result, to: x)
    }
  }
}
