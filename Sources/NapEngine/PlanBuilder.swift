package import NapGraph
package import NapKernels
import NapTensor

/// Names one piece of a plan's memory.
package struct BufferID: Sendable, Hashable {
  let index: Int
}

/// Where a plan's buffers lie; handed to steps that are not kernels.
package struct PlanMemory {
  let addresses: UnsafeMutablePointer<UnsafeMutableRawPointer>

  package subscript(buffer: BufferID) -> UnsafeMutableRawPointer { addresses[buffer.index] }
  package func floats(_ buffer: BufferID) -> UnsafeMutablePointer<Float> {
    addresses[buffer.index].assumingMemoryBound(to: Float.self)
  }
}

/// One step of a plan: a kernel or a loop, with the buffers it touches.
struct PlanStep {
  enum Work {
    case kernel(PreparedKernel, [(KernelArgument, BufferID)])
    case loop((PlanMemory) -> Void)
  }
  var label: String
  var node: Int?
  /// What does the work, such as `jit:avx512_core`; empty for plain loops.
  var implementation: String
  /// Where the result goes, where there is one.
  var output: BufferID?
  var work: Work
  var touched: [BufferID]
}

/// How training plans update running statistics.
package final class StatisticsUpdate {
  /// Overrides the momentum of every normalization.
  package internal(set) var momentum: Float?
}

/// Collects the steps and buffers of a plan while operators lower themselves into it.
package final class PlanBuilder {
  package let mode: PlanMode
  /// The type of activations and products.
  package let scalar: Scalar
  private(set) var shapes: [[Int]]
  package let parameters: Parameters
  package let statisticsUpdate = StatisticsUpdate()
  /// See `mayBreak`.
  var broken: Set<ValueID> = []

  /// Whether a value may be NaN or infinite though the network's inputs and weights are not.
  package func mayBreak(_ value: ValueID) -> Bool { broken.contains(value) }

  /// Hands over all steps. Some hold on to the builder, which must not hold on to them.
  func takeSteps() -> (preparation: [PlanStep], steps: [PlanStep]) {
    defer {
      (preparation, steps) = ([], [])
      recomputations = [:]
    }
    return (preparation, steps)
  }

  struct Buffer {
    var layout: Layout
    /// The buffer whose memory this one shares.
    var root: Int
    var place = Place.arena
  }
  /// Where the memory of a buffer is.
  enum Place: Equatable {
    case arena
    /// Memory of its own that keeps its contents: inputs, outputs, prepared weights.
    case own
    /// Somebody else's: parameters.
    case outside(UnsafeMutableRawPointer)
  }
  private(set) var buffers: [Buffer] = []
  /// Bytes that the step that takes most takes while it runs.
  private(set) var bytesTaken = 0
  private(set) var preparation: [PlanStep] = []
  private(set) var steps: [PlanStep] = []
  /// Memory that the caller writes to before every run.
  var graphInputs: [BufferID] = []
  private(set) var parameterGradients: [ValueID: BufferID] = [:]
  private var current: [ValueID: BufferID] = [:]
  private var reordered: [Int: [(Layout, BufferID)]] = [:]
  private var gradients: [ValueID: [BufferID]] = [:]
  private var differentiable: Set<ValueID> = []
  private var parameterBuffers: [ValueID: BufferID] = [:]
  var node: Int?
  /// Buffers whose memory holds something else by now.
  private var overwritten: Set<BufferID> = []
  /// Whether weights are prepared where they are used, every time, rather than kept in all layouts.
  var preparesInPlace = false
  /// Values that are not kept for the backward pass where they can be computed again.
  var recomputable: Set<ValueID> = []
  private var recomputations: [ValueID: () throws -> BufferID] = [:]
  /// Whether those are gone that can be computed again.
  private var hasForgotten = false
  /// The last node that reads a value; none for values that have to exist after the run.
  var lastReaders: [ValueID: Int] = [:]

  init(mode: PlanMode, scalar: Scalar, shapes: [[Int]], parameters: Parameters) {
    self.mode = mode
    self.scalar = scalar
    self.shapes = shapes
    self.parameters = parameters
  }
}

// MARK: Memory
extension PlanBuilder {
  package func shape(_ value: ValueID) -> [Int] { shapes[value.index] }

  package func layout(_ buffer: BufferID) -> Layout { buffers[buffer.index].layout }

  /// Memory in the arena, alive from the first to the last step that touches it.
  package func makeBuffer(_ layout: Layout) -> BufferID {
    makeBuffer(layout, .arena)
  }

  /// Memory that keeps its contents from step to step.
  package func makeFixedBuffer(_ layout: Layout) -> BufferID { makeBuffer(layout, .own) }

  /// Memory for what preparation writes.
  package func makePreparedBuffer(_ layout: Layout) -> BufferID {
    preparesInPlace ? makeBuffer(layout) : makeFixedBuffer(layout)
  }

  private func makeBuffer(_ layout: Layout, _ place: Place) -> BufferID {
    buffers.append(Buffer(layout: layout, root: buffers.count, place: place))
    return BufferID(index: buffers.count - 1)
  }

  /// The same memory seen through another layout of the same size.
  package func viewed(_ buffer: BufferID, as layout: Layout) -> BufferID {
    let source = buffers[buffer.index]
    if source.layout == layout { return buffer }
    precondition(
      layout.bytes == source.layout.bytes,
      "\(layout) \(layout.shape) does not fit the memory of \(source.layout) \(source.layout.shape)"
    )
    buffers.append(Buffer(layout: layout, root: source.root, place: source.place))
    return BufferID(index: buffers.count - 1)
  }

  /// The same dense memory under another shape of the same size.
  package func reshaped(_ buffer: BufferID, to shape: [Int]) -> BufferID {
    let layout = layout(buffer)
    precondition(layout == Layout(dense: layout.shape, layout.scalar))
    return viewed(buffer, as: Layout(dense: shape, layout.scalar))
  }

  /// The buffer's contents in another layout; the buffer itself when it has that layout already.
  package func converted(_ buffer: BufferID, to layout: Layout) throws -> BufferID {
    if self.layout(buffer) == layout { return buffer }
    if let known = reordered[buffer.index]?.first(where: { $0.0 == layout }) { return known.1 }
    let result = makeBuffer(layout)
    let kernel = try PreparedKernel.reorder(from: self.layout(buffer), to: layout)
    run(kernel, "reorder", [(.source, buffer), (.destination, result)])
    reordered[buffer.index, default: []].append((layout, result))
    return result
  }

  package func dense(_ buffer: BufferID) throws -> BufferID {
    try converted(buffer, to: Layout(dense: layout(buffer).shape))
  }
}

// MARK: Values
extension PlanBuilder {
  /// The buffer that holds a value, in whatever layout it was computed.
  package func buffer(_ value: ValueID) -> BufferID {
    if let buffer = current[value] { return buffer }
    return parameter(value)
  }

  /// A value's buffer with the plan's element type, in whatever layout it was computed.
  package func activation(_ value: ValueID) throws -> BufferID {
    let buffer = try read(value)
    return try converted(buffer, to: layout(buffer).with(scalar))
  }

  /// The buffer that holds a value, which is computed again where it has not been kept.
  package func read(_ value: ValueID) throws -> BufferID {
    if hasForgotten, let compute = recomputations.removeValue(forKey: value) {
      define(value, as: try compute())
    }
    return buffer(value)
  }

  /// Says how a value can be computed again.
  ///
  /// - Parameter compute: emits the steps, and returns the buffer of the result.
  package func offerRecomputation(
    of value: ValueID, _ compute: @escaping () throws -> BufferID
  ) {
    if recomputable.contains(value) { recomputations[value] = compute }
  }

  /// From now on, values are computed again when they are read.
  func forgetRecomputable() { hasForgotten = true }

  /// Says where a value is from now on.
  package func define(_ value: ValueID, as buffer: BufferID) { current[value] = buffer }

  /// A value that the graph does not have: an intermediate result of a lowering.
  ///
  /// - Parameter shape: its shape, where not that of `value`.
  package func makeValue(like value: ValueID, shape other: [Int]? = nil) -> ValueID {
    shapes.append(other ?? shape(value))
    let result = ValueID(shapes.count - 1)
    if needsGradient(value) { setNeedsGradient(result) }
    return result
  }

  /// The buffer of a value that only the node at work still reads, and reads only once: its memory may
  /// be overwritten.
  package func reusable(_ value: ValueID) -> BufferID? {
    guard lastReaders[value] == node, let buffer = current[value],
      buffers[buffer.index].place == .arena
    else { return nil }
    func sharesMemory(_ other: BufferID) -> Bool {
      buffers[other.index].root == buffers[buffer.index].root && !overwritten.contains(other)
    }
    let views = buffers.indices.count { sharesMemory(BufferID(index: $0)) }
    let names = current.values.count { sharesMemory($0) }
    return views == 1 && names == 1 ? buffer : nil
  }

  /// The memory of a reusable buffer under a new name: what is known of the old contents, such as
  /// copies in other layouts, is not true of the new ones.
  package func takeOver(_ buffer: BufferID) -> BufferID {
    overwritten.insert(buffer)
    let old = buffers[buffer.index]
    buffers.append(Buffer(layout: old.layout, root: old.root))
    return BufferID(index: buffers.count - 1)
  }

  /// Makes a buffer for a value.
  package func define(_ value: ValueID, _ layout: Layout) -> BufferID {
    let buffer = makeBuffer(layout)
    define(value, as: buffer)
    return buffer
  }

  package func isConstant(_ value: ValueID) -> Bool { parameters.contains(value) }

  /// The live, dense `float32` memory of a constant.
  package func parameter(_ value: ValueID) -> BufferID {
    if let known = parameterBuffers[value] { return known }
    let buffer = makeBuffer(
      Layout(dense: shape(value)), .outside(UnsafeMutableRawPointer(parameters.pointer(value))))
    parameterBuffers[value] = buffer
    return buffer
  }

  /// A constant in the layout a kernel wants, refreshed whenever the parameters change.
  ///
  /// - Parameter view: how the kernel sees the dense constant, where not as it is: under another
  ///   shape, or transposed.
  package func parameter(_ value: ValueID, as layout: Layout, through view: Layout? = nil) throws
    -> BufferID
  {
    try prepared(parameter(value), as: layout, through: view)
  }

  /// Like `parameter(_:as:through:)`, of memory that preparation writes.
  package func prepared(_ plain: BufferID, as layout: Layout, through view: Layout? = nil) throws
    -> BufferID
  {
    let source = view.map { viewed(plain, as: $0) } ?? plain
    if self.layout(source) == layout { return source }
    if !preparesInPlace, let known = reordered[plain.index]?.first(where: { $0.0 == layout }) {
      return known.1
    }
    let result = makePreparedBuffer(layout)
    let kernel = try PreparedKernel.reorder(from: self.layout(source), to: layout)
    appendPreparation(step(kernel, "prepare weights", [(.source, source), (.destination, result)]))
    reordered[plain.index, default: []].append((layout, result))
    return result
  }
}

// MARK: Gradients
extension PlanBuilder {
  /// Whether gradients must reach a value.
  package func needsGradient(_ value: ValueID) -> Bool { differentiable.contains(value) }

  func setNeedsGradient(_ value: ValueID) { differentiable.insert(value) }

  /// Adds a term to a value's gradient.
  ///
  /// The buffer may be shared: nobody writes to it again.
  package func contribute(_ gradient: BufferID, to value: ValueID) {
    gradients[value, default: []].append(gradient)
  }

  /// The terms of a value's gradient, each in the given layout.
  package func gradientTerms(_ value: ValueID, as layout: Layout) throws -> [BufferID] {
    try (gradients[value] ?? []).map { try converted($0, to: layout) }
  }

  /// A value's gradient; `nil` when nothing depends on it.
  package func gradient(_ value: ValueID, as layout: Layout? = nil) throws -> BufferID? {
    guard let terms = gradients[value], let first = terms.first else { return nil }
    let layout = layout ?? self.layout(first)
    var sum = try converted(first, to: layout)
    for term in terms.dropFirst() {
      let next = makeBuffer(layout)
      let kernel = try PreparedKernel.binary(.add, layout, layout, destination: layout)
      run(
        kernel, "add gradients",
        [(.source, sum), (.source1, try converted(term, to: layout)), (.destination, next)])
      sum = next
    }
    gradients[value] = [sum]
    return sum
  }

  /// Lets a kernel write the gradient of a parameter, in the layout it likes.
  ///
  /// A parameter that several nodes share gets the sum of its gradients.
  /// - Parameter view: as in `parameter(_:as:through:)`.
  package func receiveGradient(
    of value: ValueID, _ layout: Layout, through view: Layout? = nil,
    _ emit: (BufferID) throws -> Void
  ) throws {
    let isFirst = parameterGradients[value] == nil
    let target = parameterGradients[value] ?? makeFixedBuffer(Layout(dense: shape(value)))
    parameterGradients[value] = target
    let seen = view.map { viewed(target, as: $0) } ?? target
    if isFirst && layout == self.layout(seen) { return try emit(seen) }
    let raw = makeBuffer(layout)
    try emit(raw)
    if isFirst {
      let kernel = try PreparedKernel.reorder(from: layout, to: self.layout(seen))
      run(kernel, "store gradient", [(.source, raw), (.destination, seen)])
    } else {
      let term = try converted(raw, to: self.layout(seen))
      let kernel = try PreparedKernel.binary(
        .add, self.layout(seen), self.layout(term), destination: self.layout(seen))
      run(kernel, "add gradient", [(.source, seen), (.source1, term), (.destination, seen)])
    }
  }

  /// Whether a node multiplies its input by a weight of the network's own.
  func hasFactors(_ node: PlanNode) -> Bool {
    guard let op = node.op as? any AffineOperator, isConstant(node.inputs[1]) else { return false }
    return op.affineShape(node.inputs.map(shape)) != nil
  }

  /// Whether a parameter is trained by this plan.
  package func trains(_ value: ValueID) -> Bool {
    guard mode == .training, let role = parameters.roles[value] else { return false }
    return role != .statistic && parameters.contains(value)
  }
}

// MARK: Steps
extension PlanBuilder {
  /// Appends a kernel; its scratch memory is planned along.
  package func run(
    _ kernel: PreparedKernel, _ label: String, _ arguments: [(KernelArgument, BufferID)]
  ) {
    steps.append(step(kernel, label, arguments))
  }

  private func step(
    _ kernel: PreparedKernel, _ label: String, _ arguments: [(KernelArgument, BufferID)]
  ) -> PlanStep {
    var arguments = arguments
    let scratch = kernel.layout(.scratchpad)
    if scratch.bytes > 0 { arguments.append((.scratchpad, makeBuffer(scratch))) }
    let results: [KernelArgument] = [.destination, .sourceGradient, .weightsGradient]
    return PlanStep(
      label: label, node: node, implementation: kernel.implementation,
      output: arguments.first { results.contains($0.0) }?.1, work: .kernel(kernel, arguments),
      touched: arguments.map(\.1))
  }

  /// Appends a loop that runs whenever the parameters change.
  package func prepare(
    _ label: String, touching touched: [BufferID], _ body: @escaping (PlanMemory) -> Void
  ) {
    appendPreparation(loop(label, touched, "", nil, body))
  }

  private func appendPreparation(_ step: PlanStep) {
    if preparesInPlace { steps.append(step) } else { preparation.append(step) }
  }

  /// Appends a loop over memory; `touched` names every buffer it reads or writes.
  ///
  /// - Parameters:
  ///   - kernel: its name, where it is one.
  ///   - output: where its result goes; for those who measure.
  ///   - taken: bytes that it takes while it runs and gives back.
  package func run(
    _ label: String, touching touched: [BufferID], kernel: String = "", output: BufferID? = nil,
    taking taken: Int = 0, _ body: @escaping (PlanMemory) -> Void
  ) {
    bytesTaken = max(bytesTaken, taken)
    steps.append(loop(label, touched, kernel, output, body))
  }

  private func loop(
    _ label: String, _ touched: [BufferID], _ kernel: String, _ output: BufferID?,
    _ body: @escaping (PlanMemory) -> Void
  ) -> PlanStep {
    PlanStep(
      label: label, node: node, implementation: kernel, output: output, work: .loop(body),
      touched: touched)
  }
}
