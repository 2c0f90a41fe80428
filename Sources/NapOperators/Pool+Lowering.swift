import NapEngine
import NapGraph
import NapKernels

extension PlanBuilder {
  /// A pool over windows of the spatial axes.
  func lowerPooling(
    _ kind: PoolingKind, _ window: WindowGeometry, input x: ValueID, output y: ValueID,
    label: String
  ) throws -> BackwardLowering {
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
