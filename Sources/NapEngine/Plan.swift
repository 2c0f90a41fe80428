package import NapGraph
package import NapKernels
import NapTensor

/// What the curvature of one affine node is computed from, dense and in `float32`.
package struct CurvatureTap {
  /// Index of the node in the graph.
  package let node: Int
  /// The node's first input; in blocks where a `PatchOperator` correlates, unless the plan has been
  /// told otherwise.
  package let input: UnsafePointer<Float>
  /// Gradient of the loss with respect to the node's output, before any activation.
  package let outputGradient: UnsafePointer<Float>
  /// The node's output, before any activation.
  package let output: UnsafePointer<Float>
}

/// A graph compiled for one batch size, mode and precision: planned memory and prepared kernels.
///
/// Running a plan allocates nothing. A plan is not thread-safe.
package final class Plan {
  package let mode: PlanMode
  package let batch: Int
  package let graph: Graph
  package let parameters: Parameters
  /// Dense gradients of the trained parameters, written by `backward`.
  package let parameterGradients: [ValueID: UnsafeMutablePointer<Float>]
  package let inputs: [UnsafeMutablePointer<Float>]
  package let inputShapes: [[Int]]
  /// Dense outputs, written by `forward`.
  package let outputs: [UnsafePointer<Float>]
  package let outputShapes: [[Int]]
  /// Where the caller writes the gradients of the outputs before `backward`.
  package let outputGradients: [UnsafeMutablePointer<Float>]
  /// Dense gradients of the values that were asked for, written by `backward`; zeros where no output
  /// depends on a value.
  package let valueGradients: [ValueID: UnsafePointer<Float>]
  /// Bytes of activations, gradients and scratch memory.
  package let arenaBytes: Int
  /// Called by `backward` of a `.curvature` plan for every affine node with a constant weight.
  package var tap: ((CurvatureTap) -> Void)? {
    get { tapBox.call }
    set { tapBox.call = newValue }
  }

  /// The share of the old running statistics that a training step keeps; `nil` leaves it to each
  /// normalization.
  package var statisticsMomentum: Float? {
    get { statisticsUpdate.momentum }
    set { statisticsUpdate.momentum = newValue }
  }

  /// What the last `forward` of a plan that checks numbers has found.
  package var firstBroken: BrokenNumber? { check.first }

  private let check = NumberCheck()
  private let statisticsUpdate: StatisticsUpdate
  private final class TapBox { var call: ((CurvatureTap) -> Void)? }
  private let tapBox: TapBox
  private let preparation: [PlanStep]
  private let steps: [PlanStep]
  private let backwardStart: Int
  private let memory: PlanMemory
  private let layouts: [Layout]
  private let owned: [AlignedBuffer]
  private let arena: AlignedBuffer

  /// - Parameters:
  ///   - parameters: weights that the caller goes on with; the graph's own where there are none.
  ///   - savesMemory: whether what can be computed again cheaply is not kept for the backward pass.
  ///   - checksNumbers: whether every value is looked at, without any fusion: a kernel that applies a
  ///     function on its way out may hide NaN.
  ///   - rewrites: whether operators may ask for others in their place, see `RewritingOperator`; never where
  ///     somebody else changes the parameters.
  ///   - tapsAreDense: whether inputs are handed to taps dense always.
  ///   - wanted: values that `.gradients` plans give the gradients of: inputs of the network, or values
  ///     on the way.
  /// - Throws: `GraphError` when shapes do not fit, `PlanError` when a node cannot be compiled or a
  ///   wanted value is not computed, `MemoryError` when it would take more memory than there is; none
  ///   is taken then.
  package init(
    _ graph: Graph, parameters: Parameters? = nil, mode: PlanMode = .inference,
    scalar: Scalar = .float32, batch: Int, inputShapes: [[Int]]? = nil, savesMemory: Bool = false,
    checksNumbers: Bool = false, rewrites: Bool = true, tapsAreDense: Bool = false,
    gradientsOf wanted: [ValueID] = []
  ) throws {
    guard scalar != .bfloat16 || canComputeBFloat16 else {
      throw PlanError(
        "this processor cannot compute with bfloat16",
        recovery: "choose float32, or leave it to nap")
    }
    let mayRewrite = rewrites && parameters == nil && mode == .inference && !checksNumbers
    let graph =
      mayRewrite ? try Self.rewritten(graph, batch: batch, inputShapes, in: scalar) : graph
    precondition(wanted.isEmpty || mode == .gradients)
    let known = Set(graph.inputs.map(\.value) + graph.nodes.flatMap(\.outputs))
    guard wanted.allSatisfy(known.contains) else {
      throw PlanError("gradients are wanted of a value that the network does not compute")
    }
    let shapes = try graph.shapes(inputs: inputShapes ?? graph.inputShapes(batch: batch))
    if let shape = shapes.first(where: { $0.count > Layout.mostAxes }) {
      throw PlanError(
        "a tensor with \(shape.count) axes cannot be computed with, \(Layout.mostAxes) are the most"
      )
    }
    let parameters = parameters ?? Parameters(graph)
    let builder = PlanBuilder(mode: mode, scalar: scalar, shapes: shapes, parameters: parameters)
    let box = TapBox()
    let inputBuffers = graph.inputs.map { port in
      let buffer = builder.makeFixedBuffer(Layout(dense: shapes[port.value.index]))
      builder.define(port.value, as: buffer)
      return buffer
    }
    builder.graphInputs = inputBuffers
    let context = FusionContext(
      graph, kept: Set(graph.outputs.map(\.value) + wanted), mode: mode, shapes: shapes,
      parameters: parameters)
    builder.broken = context.broken
    let nodes = Self.fusedNodes(graph, checksNumbers ? [] : allFusions, context)
    wanted.forEach(builder.setNeedsGradient)
    Self.markDifferentiable(nodes, builder)
    if savesMemory, mode == .training {
      builder.preparesInPlace = true
      builder.recomputable = Self.recomputable(nodes, shapes, kept: graph.outputs.map(\.value))
    }
    if mode == .inference {
      for node in nodes {
        for value in node.inputs + [node.residual].compactMap({ $0 }) {
          builder.lastReaders[value] = node.index
        }
      }
      for port in graph.outputs { builder.lastReaders[port.value] = nil }
    }

    var backward: [(node: Int, emit: BackwardLowering)] = []
    for node in nodes {
      builder.node = node.index
      let emit = try Self.located(node) {
        if let op = node.op as? any Lowerable { return try op.lower(node, into: builder) }
        return try PlainLowering.lower(node, into: builder)
      }
      backward.append((node.index, emit))
      if checksNumbers { check.emit(node, builder) }
      if mode == .curvature, builder.hasFactors(node), builder.needsGradient(node.outputs[0]) {
        backward.append(
          (node.index, { try Self.emitTap(node, builder, box, isDense: tapsAreDense) }))
      }
    }
    builder.node = nil
    let outputBuffers = try graph.outputs.map { try builder.dense(builder.buffer($0.value)) }
    // Outputs keep their contents until the next run.
    let outputCopies = outputBuffers.map { source in
      let copy = builder.makeFixedBuffer(builder.layout(source))
      let bytes = builder.layout(source).bytes
      builder.run("output", touching: [source, copy]) { memory in
        memory[copy].copyMemory(from: memory[source], byteCount: bytes)
      }
      return copy
    }
    backwardStart = builder.steps.count
    var gradientBuffers: [BufferID] = []
    if mode != .inference {
      for port in graph.outputs {
        let buffer = builder.makeFixedBuffer(Layout(dense: shapes[port.value.index]))
        builder.contribute(buffer, to: port.value)
        gradientBuffers.append(buffer)
      }
      builder.forgetRecomputable()
      for (index, emit) in backward.reversed() {
        builder.node = index
        try emit()
      }
      builder.node = nil
    }
    let wantedBuffers = try wanted.map { try Self.emitGradient($0, builder) }

    let assigned = try Self.assign(builder, batch: batch)
    memory = assigned.memory
    arena = assigned.arena
    arenaBytes = assigned.arena.bytes
    owned = assigned.owned
    layouts = builder.buffers.map(\.layout)
    (preparation, steps) = builder.takeSteps()
    for step in preparation + steps {
      if case .kernel(let kernel, let arguments) = step.work {
        for (argument, buffer) in arguments { kernel.bind(argument, to: memory[buffer]) }
      }
    }
    let memory = memory
    self.graph = graph
    self.mode = mode
    self.batch = batch
    self.parameters = parameters
    tapBox = box
    statisticsUpdate = builder.statisticsUpdate
    inputs = inputBuffers.map { memory.floats($0) }
    self.inputShapes = graph.inputs.map { shapes[$0.value.index] }
    outputs = outputCopies.map { UnsafePointer(memory.floats($0)) }
    outputShapes = graph.outputs.map { shapes[$0.value.index] }
    outputGradients = gradientBuffers.map { memory.floats($0) }
    parameterGradients = builder.parameterGradients.mapValues { memory.floats($0) }
    valueGradients = Dictionary(
      zip(wanted, wantedBuffers.map { UnsafePointer(memory.floats($0)) }), uniquingKeysWith: { $1 })
    prepare()
  }

  deinit { memory.addresses.deallocate() }

  /// Writes the first examples of the inputs.
  ///
  /// - Parameter arrays: dense, `[count, …]` each, one for every input.
  package func setInputs(_ arrays: [UnsafePointer<Float>], count: Int) {
    precondition(arrays.count == inputs.count, "one array an input")
    for (k, array) in arrays.enumerated() {
      inputs[k].update(from: array, count: count * inputShapes[k].dropFirst().product)
    }
  }

  /// Takes over changed parameters; training plans do it on every `forward`.
  package func prepare() { run(preparation[...]) }

  /// Computes the outputs from the inputs.
  package func forward() {
    if mode == .training { prepare() }
    check.first = nil
    run(steps[..<backwardStart])
  }

  /// Computes gradients from `outputGradients`, after `forward`.
  package func backward() { run(steps[backwardStart...]) }

  private func run(_ steps: ArraySlice<PlanStep>) {
    for step in steps { run(step) }
  }

  private func run(_ step: PlanStep) {
    switch step.work {
    case .kernel(let kernel, _): kernel.run()
    case .loop(let body): body(memory)
    }
  }
}

// MARK: Timing
extension Plan {
  /// How long one step of a plan takes.
  package struct StepTime: Sendable {
    package var label: String
    /// What does it, such as `jit:avx512_core`; empty for loops of our own.
    package var implementation: String
    /// Of the result, such as `aBcd16b`; empty where there is none.
    package var layout: String
    /// Index of the node in the graph it belongs to.
    package var node: Int?
    /// Median over the runs.
    package var seconds: Double
  }

  /// Runs the plan some times and takes the time of every step.
  package func stepTimes(runs: Int) -> [StepTime] {
    let clock = ContinuousClock()
    let all = (mode == .training ? preparation : []) + steps
    var times = [[Double]](repeating: [], count: all.count)
    for _ in 0..<max(1, runs) {
      for (index, step) in all.enumerated() {
        let start = clock.now
        run(step)
        times[index].append((clock.now - start) / .seconds(1))
      }
    }
    return zip(all, times).map { step, times in
      StepTime(
        label: step.label, implementation: step.implementation,
        layout: step.output.map { layouts[$0.index].description } ?? "", node: step.node,
        seconds: times.sorted()[times.count / 2])
    }
  }
}

// MARK: Compilation
extension Plan {
  /// The network as its operators want it to be computed.
  private static func rewritten(
    _ graph: Graph, batch: Int, _ inputShapes: [[Int]]?, in scalar: Scalar
  ) throws -> Graph {
    var result = graph
    var asked: Set<ObjectIdentifier> = []
    for node in graph.nodes {
      guard let op = node.op as? any RewritingOperator else { continue }
      let type = type(of: op)
      guard asked.insert(ObjectIdentifier(type)).inserted else { continue }
      let shapes = try result.shapes(inputs: inputShapes ?? result.inputShapes(batch: batch))
      result = type.rewritten(result, shapes: shapes, in: scalar) ?? result
    }
    return result
  }

  private static func fusedNodes(
    _ graph: Graph, _ fusions: [any Fusion.Type], _ context: FusionContext
  ) -> [PlanNode] {
    let nodes = graph.nodes.enumerated().map { index, node in
      PlanNode(
        index: index, name: node.name, op: node.op, inputs: node.inputs, outputs: node.outputs)
    }
    return fusions.reduce(nodes) { nodes, fusion in fusion.fused(nodes, context) }
  }

  private static func located<R>(_ node: PlanNode, _ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch let error as any NapError {
      throw PlanError(
        "node '\(node.name)' (\(node.op.name)): \(error.problem)", recovery: error.recovery)
    }
  }

  /// Gradients must reach every value that depends on a trained parameter (training), on the
  /// output of an affine node (curvature) or on a value whose gradient is wanted; whole numbers have none.
  private static func markDifferentiable(_ nodes: [PlanNode], _ builder: PlanBuilder) {
    guard builder.mode != .inference else { return }
    for node in nodes {
      let begins =
        switch builder.mode {
        case .training: node.inputs.contains(where: builder.trains)
        case .curvature: builder.hasFactors(node)
        case .inference, .gradients: false
        }
      if begins || node.inputs.contains(where: builder.needsGradient) {
        for (index, output) in node.outputs.enumerated()
        where node.op.elementType(ofOutput: index) == .float32 {
          builder.setNeedsGradient(output)
        }
      }
    }
  }

  /// Values that all their readers ask for anew in the backward pass, and that are cheap to compute.
  private static func recomputable(_ nodes: [PlanNode], _ shapes: [[Int]], kept: [ValueID])
    -> Set<ValueID>
  {
    var result: Set<ValueID> = []
    for node in nodes {
      guard let op = node.op as? any RecomputingOperator,
        op.isWorthRecomputing(
          inputs: node.inputs.map { shapes[$0.index] },
          outputs: node.outputs.map { shapes[$0.index] })
      else { continue }
      result.insert(node.outputs[0])
    }
    for node in nodes {
      let others = node.op is any RecomputingOperator ? Array(node.inputs.dropFirst()) : node.inputs
      result.subtract(others + [node.residual].compactMap { $0 })
    }
    return result.subtracting(kept)
  }

  private static func emitTap(
    _ node: PlanNode, _ builder: PlanBuilder, _ box: TapBox, isDense: Bool
  ) throws {
    guard let gradient = try builder.gradient(node.outputs[0]) else { return }
    let g = try builder.dense(gradient)
    let shape = builder.shape(node.inputs[0])
    let correlates = (node.op as? any PatchOperator)?.correlatesPatches(of: shape) ?? false
    let x = try builder.converted(
      builder.buffer(node.inputs[0]),
      to: correlates && !isDense ? Layout(blocked: shape, .float32) : Layout(dense: shape))
    let z = try builder.dense(builder.buffer(node.outputs[0]))
    let index = node.index
    builder.run("curvature", touching: [x, g, z]) { memory in
      box.call?(
        CurvatureTap(
          node: index, input: memory.floats(x), outputGradient: memory.floats(g),
          output: memory.floats(z)))
    }
  }

  /// Where the gradient of a value is to be read after every run.
  private static func emitGradient(_ value: ValueID, _ builder: PlanBuilder) throws -> BufferID {
    let target = builder.makeFixedBuffer(Layout(dense: builder.shape(value)))
    guard let gradient = try builder.gradient(value) else { return target }
    let source = try builder.dense(gradient)
    let bytes = builder.layout(target).bytes
    builder.run("gradient", touching: [source, target]) { memory in
      memory[target].copyMemory(from: memory[source], byteCount: bytes)
    }
    return target
  }

  /// Takes the memory of all buffers, if there is that much.
  private static func assign(_ builder: PlanBuilder, batch: Int) throws(MemoryError) -> (
    memory: PlanMemory, arena: AlignedBuffer, owned: [AlignedBuffer]
  ) {
    var first: [Int: Int] = [:]
    var last: [Int: Int] = [:]
    // Preparation runs before everything else; its scratch memory shares the arena.
    for (time, step) in (builder.preparation + builder.steps).enumerated() {
      for buffer in step.touched {
        let root = builder.buffers[buffer.index].root
        if first[root] == nil { first[root] = time }
        last[root] = time
      }
    }
    let planned = builder.buffers.indices.filter {
      builder.buffers[$0].root == $0 && builder.buffers[$0].place == .arena && first[$0] != nil
    }
    let plan = MemoryPlan(
      planned.map {
        MemoryPlan.Lifetime(
          bytes: builder.buffers[$0].layout.bytes, first: first[$0] ?? 0, last: last[$0] ?? 0)
      })
    let ownPlaces = builder.buffers.indices.filter {
      builder.buffers[$0].root == $0 && builder.buffers[$0].place == .own
    }
    let ownBytes = ownPlaces.reduce(0) { $0 + builder.buffers[$1].layout.bytes }
    try Memory.check(
      plan.arenaBytes + ownBytes + builder.bytesBeside,
      for: "\(builder.mode.verb) the network on \(batch) examples at once",
      recovery: batch > 1 ? "give a smaller --batch-size" : nil)
    let arena = AlignedBuffer(bytes: max(64, plan.arenaBytes))
    let owned = ownPlaces.map { AlignedBuffer(bytes: builder.buffers[$0].layout.bytes) }
    let addresses = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(
      capacity: max(1, builder.buffers.count))
    addresses.initialize(repeating: arena.address, count: max(1, builder.buffers.count))
    for (buffer, offset) in zip(planned, plan.offsets) {
      addresses[buffer] = arena.address + offset
    }
    for (buffer, memory) in zip(ownPlaces, owned) { addresses[buffer] = memory.address }
    for (index, buffer) in builder.buffers.enumerated() {
      addresses[index] =
        if case .outside(let address) = buffer.place { address } else { addresses[buffer.root] }
    }
    return (PlanMemory(addresses: addresses), arena, owned)
  }
}

// MARK: Memory beside a plan
extension PlanBuilder {
  /// What those need at the same time who feed and run the plan: batches on their way, what steps take
  /// while they run, and what an optimizer keeps of every parameter.
  fileprivate var bytesBeside: Int {
    let inputs = graphInputs.reduce(0) { $0 + layout($1).bytes }
    let trained = mode == .training ? parameters.trained.reduce(0) { $0 + parameters.count($1) } : 0
    return Self.batchesOnTheirWay * inputs + bytesTaken + 12 * trained
  }

  private static let batchesOnTheirWay = 4
}

extension PlanMode {
  fileprivate var verb: String {
    switch self {
    case .inference: "running"
    case .training: "training"
    case .curvature: "collecting the curvature of"
    case .gradients: "differentiating"
    }
  }
}
