import NapEngine
import NapGraph
import NapKernels
import NapOperators
import NapTensor
import NapTestSupport
import Testing

@Suite struct PlanTests {
  @Test(arguments: SmallNetwork.all.map(\.name))
  func plansComputeWhatTheSpecificationSays(_ name: String) throws {
    var network = try #require(SmallNetwork.all.first { $0.name == name }).network
    let x = network.tensor([3, 2, 4, 4])
    let expected = network.graph.evaluate([x])[0]
    for mode in [PlanMode.inference, .curvature] {
      let plan = try Plan(network.graph, mode: mode, batch: 3)
      plan.inputs[0].update(from: x.floats, count: x.count)
      // Twice: a run leaves nothing behind that changes the next.
      for _ in 0..<2 {
        plan.forward()
        let found = Array(UnsafeBufferPointer(start: plan.outputs[0], count: expected.count))
        #expect(relativeDifference(found, expected.floats) < 1e-5)
      }
    }
  }

  /// A weight that is far larger than all others blurs nothing that it does not touch: Winograd's algorithm
  /// would, by its rounding errors.
  @Test(arguments: [Float(0.1), 1000]) func oneLargeWeightLeavesOthersAlone(_ largest: Float) throws
  {
    var network = SmallNetwork()
    let x = network.input([32, 12, 12])
    network.output(network.conv(x, [32, 32, 3, 3], "a"), [32, 12, 12])
    let weight = network.constant("a.w")
    network.graph.constants[weight]?.floats.indices.forEach {
      network.graph.constants[weight]?.floats[$0] *= 0.1
    }
    network.graph.constants[weight]?.floats[4] = largest
    // What it is multiplied by is one pixel, so that few outputs are large.
    var image = network.tensor([4, 32, 12, 12])
    for n in 0..<4 {
      for i in 0..<144 where i != 66 { image.floats[n * 32 * 144 + i] = 0 }
    }
    let plan = try Plan(network.graph, batch: 4)
    plan.inputs[0].update(from: image.floats, count: image.count)
    plan.forward()
    let expected = network.graph.evaluate([image])[0]
    let found = Array(UnsafeBufferPointer(start: plan.outputs[0], count: expected.count))
    for (a, b) in zip(found, expected.floats) {
      #expect(abs(a - b) < 2e-5 * max(1, abs(b)))
    }
  }

  /// A sum may be computed in the memory of its residual, but not be taken for copies of that.
  @Test func copiesOfAResidualAreNotTakenForTheSum() throws {
    var network = SmallNetwork()
    let x = network.input([2, 4, 4])
    let a = network.conv(x, [16, 2, 1, 1], bias: true, "a")
    let channelsLast = Transpose(permutation: [0, 2, 3, 1])
    let before = network.apply(channelsLast, a, name: "before")
    let b = network.apply(Relu(), network.conv(a, [16, 16, 1, 1], "b"), name: "b.relu")
    let sum = network.apply(Add(), a, network.conv(b, [16, 16, 1, 1], "c"), name: "sum")
    network.output(before, [4, 4, 16])
    network.output(network.apply(channelsLast, sum, name: "after"), [4, 4, 16])
    let image = network.tensor([2, 2, 4, 4])
    let plan = try Plan(network.graph, batch: 2)
    plan.inputs[0].update(from: image.floats, count: image.count)
    plan.forward()
    for (n, expected) in network.graph.evaluate([image]).enumerated() {
      let found = Array(UnsafeBufferPointer(start: plan.outputs[n], count: expected.count))
      #expect(relativeDifference(found, expected.floats) < 1e-5, "output \(n)")
    }
  }

  @Test func sameInputsGiveTheSameBits() throws {
    var network = SmallNetwork.residual
    let x = network.tensor([3, 2, 4, 4])
    let runs = try (0..<2).map { _ in
      let plan = try Plan(network.graph, mode: .training, batch: 3)
      plan.inputs[0].update(from: x.floats, count: x.count)
      plan.forward()
      plan.outputGradients[0].update(repeating: 1, count: 9)
      plan.backward()
      return plan.parameters.trained.flatMap { value in
        Array(
          UnsafeBufferPointer(
            start: plan.parameterGradients[value], count: plan.parameters.count(value)))
      }
    }
    #expect(runs[0] == runs[1])
  }

  @Test func sharedWeightsGetTheSumOfTheirGradients() throws {
    var network = SmallNetwork()
    let x = network.input([2, 4, 4])
    let a = network.conv(x, [2, 2, 3, 3], "a")
    let weight = network.constant("a.w")
    let window = Window(kernel: [3, 3], padding: .explicit(begin: [1, 1], end: [1, 1]))
    let b = network.apply(Conv(window: window), a, weight, name: "b")
    network.output(b, [2, 4, 4])
    let image = network.tensor([1, 2, 4, 4])
    let plan = try Plan(network.graph, mode: .training, batch: 1)
    plan.inputs[0].update(from: image.floats, count: image.count)
    plan.forward()
    plan.outputGradients[0].update(repeating: 1, count: 32)
    plan.backward()
    let found = try #require(plan.parameterGradients[weight])
    for i in 0..<36 {
      let sums = [Float(1e-2), -1e-2].map { step in
        var moved = network.graph
        moved.constants[weight]?.floats[i] += step
        return moved.evaluate([image])[0].floats.reduce(0) { $0 + Double($1) }
      }
      #expect(abs(Double(found[i]) - (sums[0] - sums[1]) / 2e-2) < 1e-2)
    }
  }

  @Test func buffersThatLiveTogetherNeverOverlap() {
    var random = Seed(2).generator()
    let lifetimes = (0..<200).map { _ in
      let first = Int.random(in: 0..<100, using: &random)
      return MemoryPlan.Lifetime(
        bytes: Int.random(in: 1...5000, using: &random), first: first,
        last: first + Int.random(in: 0..<20, using: &random))
    }
    let plan = MemoryPlan(lifetimes)
    for i in lifetimes.indices {
      #expect(plan.offsets[i] + lifetimes[i].bytes <= plan.arenaBytes)
      for j in 0..<i {
        let (a, b) = (lifetimes[i], lifetimes[j])
        guard a.first <= b.last, b.first <= a.last else { continue }
        #expect(
          plan.offsets[i] + a.bytes <= plan.offsets[j]
            || plan.offsets[j] + b.bytes <= plan.offsets[i])
      }
    }
    #expect(plan.arenaBytes < lifetimes.reduce(0) { $0 + $1.bytes } / 2)
  }

  /// With other blocks of channels than the processor's, oneDNN has plain loops alone.
  @Test(arguments: [1, 8]) func convolutionsOfManyImagesHaveKernels(_ batch: Int) throws {
    var network = SmallNetwork()
    let x = network.input([16, 16, 16])
    let y = network.apply(Relu(), network.conv(x, [32, 16, 3, 3], "a"), name: "relu")
    network.output(network.conv(y, [16, 32, 1, 1], "b"), [16, 16, 16])
    for step in try Plan(network.graph, batch: batch).stepTimes(runs: 1) {
      #expect(!step.implementation.contains("ref"), "\(step.label): \(step.implementation)")
    }
  }

  @Test(.enabled(if: !canComputeBFloat16)) func whatCannotBeComputedWithIsSaid() throws {
    #expect(throws: PlanError.self) {
      try Plan(SmallNetwork.residual.graph, scalar: .bfloat16, batch: 1)
    }
  }

  /// What is computed again is what had been computed.
  @Test(arguments: Scalar.computable)
  func savingMemoryChangesNothingElse(_ scalar: Scalar) throws {
    var network = SmallNetwork()
    let x = network.input([4, 16, 16])
    func layer(_ x: ValueID, _ weight: [Int], _ name: String, relu: Bool = true) -> ValueID {
      let y = network.normalization(network.conv(x, weight, name), weight[0], "\(name).bn")
      return relu ? network.apply(Relu(), y, name: "\(name).relu") : y
    }
    let inner = layer(layer(x, [8, 4, 1, 1], "a"), [8, 8, 3, 3], "b")
    let wide = layer(inner, [32, 8, 1, 1], "c", relu: false)
    let skip = layer(x, [32, 4, 1, 1], "d", relu: false)
    let sum = network.apply(
      Relu(), network.apply(Add(), wide, skip, name: "sum"), name: "sum.relu")
    network.output(layer(sum, [4, 32, 1, 1], "e"), [4, 16, 16])
    let image = network.tensor([64, 4, 16, 16])
    let plans = try [false, true].map { savesMemory in
      let plan = try Plan(
        network.graph, mode: .training, scalar: scalar,
        batch: 64, savesMemory: savesMemory)
      plan.inputs[0].update(from: image.floats, count: image.count)
      for _ in 0..<2 {
        plan.forward()
        for i in 0..<plan.outputShapes[0].product {
          plan.outputGradients[0][i] = plan.outputs[0][i] + 0.1
        }
        plan.backward()
      }
      return plan
    }
    // Room that kernels need by thread must not hide what is saved.
    #expect(plans[1].arenaBytes < plans[0].arenaBytes, "\(plans.map(\.arenaBytes))")
    for value in plans[0].parameters.trained {
      let gradients = plans.map { plan in
        (0..<plan.parameters.count(value)).map { plan.parameterGradients[value]?[$0] ?? .nan }
      }
      #expect(relativeDifference(gradients[1], gradients[0]) < 1e-5, "\(value)")
    }
  }

  /// Memory of a plan nobody holds is given back, weights prepared for it included.
  @Test func plansLeaveNothingBehind() throws {
    for (name, network) in SmallNetwork.all + SmallNetwork.reshaping {
      for mode in [PlanMode.inference, .curvature, .training] {
        weak var held: Parameters?
        do {
          let parameters = Parameters(network.graph)
          held = parameters
          _ = try Plan(
            network.graph, parameters: parameters, mode: mode, batch: 2, savesMemory: true)
        }
        #expect(held == nil, "\(name), \(mode)")
      }
    }
  }
}
