import Foundation
package import NapEngine
package import NapGraph
import NapKernels

/// Stochastic gradient descent with Nesterov momentum, masks and preconditioners.
///
/// `v ← μ v + g + λ w`, `w ← w - η (g + λ w + μ v)`. Weight decay `λ` acts on weights only, not on
/// biases and normalizations, unless asked; `g` is what a preconditioner makes of the gradient, where
/// there is one.
///
/// - Source: Sutskever et al. 2013; the formulation is the one common in deep-learning libraries.
package final class NesterovSGD {
  package struct Options: Sendable {
    package var momentum: Float = 0.9
    package var weightDecay: Float = 1e-4
    package var decaysEverything = false
    package init(momentum: Float = 0.9, weightDecay: Float = 1e-4, decaysEverything: Bool = false) {
      self.momentum = momentum
      self.weightDecay = weightDecay
      self.decaysEverything = decaysEverything
    }
  }

  private struct Slot {
    let value: ValueID
    let count: Int
    let weights: UnsafeMutablePointer<Float>
    let gradient: UnsafeMutablePointer<Float>
    let velocity: AlignedBuffer
    let decay: Float
    var mask: AlignedBuffer?
    /// Kept where there is a mask, which may change.
    var curvature: KroneckerCurvature?
    var preconditioner: (any Preconditioner)?
  }
  private var slots: [Slot]
  private let momentum: Float

  package init(_ plan: Plan, _ options: Options) {
    momentum = options.momentum
    slots = plan.parameters.trained.compactMap { value in
      guard let gradient = plan.parameterGradients[value] else { return nil }
      let count = plan.parameters.count(value)
      let decays = options.decaysEverything || plan.parameters.roles[value] == .weight
      return Slot(
        value: value, count: count, weights: plan.parameters.pointer(value), gradient: gradient,
        velocity: AlignedBuffer(bytes: count * 4), decay: decays ? options.weightDecay : 0)
    }
  }

  /// Keeps weights at zero where the mask is false, from now on; momentum too.
  package func setMask(_ mask: [Bool], of value: ValueID) {
    guard let index = slots.firstIndex(where: { $0.value == value }) else { return }
    precondition(mask.count == slots[index].count)
    let buffer = AlignedBuffer(bytes: mask.count * 4)
    for (i, keep) in mask.enumerated() { buffer.floats[i] = keep ? 1 : 0 }
    slots[index].mask = buffer
    if let curvature = slots[index].curvature {
      slots[index].preconditioner = curvature.preconditioner(mask: mask)
    }
    Self.applyMask(slots[index], 0..<mask.count)
  }

  /// From now on, steps go where the minimum is by the curvature along a weight.
  package func setCurvature(_ curvature: KroneckerCurvature, of value: ValueID) {
    guard let index = slots.firstIndex(where: { $0.value == value }) else { return }
    let mask = slots[index].mask.map { mask in (0..<slots[index].count).map { mask.floats[$0] != 0 }
    }
    slots[index].curvature = mask == nil ? nil : curvature
    slots[index].preconditioner = curvature.preconditioner(mask: mask)
    precondition(slots[index].preconditioner.map { $0.count == slots[index].count } ?? true)
  }

  /// What steps go by besides the weights, for a job that is stopped and goes on; masks are not in it.
  package struct State: Codable {
    fileprivate struct Slot: Codable {
      var value: ValueID
      var velocity: Data
      /// One of them at most.
      var curvature: KroneckerCurvature?
      var preconditioner: KroneckerPreconditioner.State?
    }

    fileprivate var slots: [Slot]
  }

  /// - Precondition: to set, the masks are those of when it was got.
  package var state: State {
    get {
      State(
        slots: slots.map { slot in
          State.Slot(
            value: slot.value, velocity: Data(bytes: slot.velocity.floats, count: 4 * slot.count),
            curvature: slot.curvature,
            preconditioner: slot.curvature == nil
              ? (slot.preconditioner as? KroneckerPreconditioner)?.state : nil)
        })
    }
    set {
      for state in newValue.slots {
        guard let index = slots.firstIndex(where: { $0.value == state.value }) else { continue }
        let velocity = slots[index].velocity
        precondition(state.velocity.count == 4 * slots[index].count)
        state.velocity.copyBytes(
          to: UnsafeMutableRawBufferPointer(
            start: velocity.address, count: state.velocity.count))
        slots[index].preconditioner = state.preconditioner.map { KroneckerPreconditioner($0) }
        if let curvature = state.curvature { setCurvature(curvature, of: state.value) }
      }
    }
  }

  /// Starts without momentum again.
  package func forget() {
    for slot in slots { slot.velocity.floats.update(repeating: 0, count: slot.count) }
  }

  /// - Returns: the first trained constant that is not finite any more, because its gradient was not or
  ///   its step went too far.
  package func step(learningRate: Float) -> ValueID? {
    turnGradients()
    let (lock, count) = (NSLock(), slots.count)
    var broken = count
    parallel { part, parts in
      for (index, slot) in self.slots.enumerated() {
        let range = slot.count * part / parts..<slot.count * (part + 1) / parts
        let (w, g, v) = (slot.weights, slot.gradient, slot.velocity.floats)
        let (decay, momentum) = (slot.decay, self.momentum)
        // All bits of the exponent are set in NaN and infinity alone; the weights are at hand here.
        var largest: UInt32 = 0
        for i in range {
          let d = g[i] + decay * w[i]
          let next = momentum * v[i] + d
          v[i] = next
          let weight = w[i] - learningRate * (d + momentum * next)
          w[i] = weight
          largest = max(largest, weight.magnitude.bitPattern)
        }
        if largest >= Float.infinity.bitPattern { lock.withLock { broken = min(broken, index) } }
        Self.applyMask(slot, range)
      }
    }
    return broken < count ? slots[broken].value : nil
  }

  /// Layer by layer, every thread some of them.
  private func turnGradients() {
    let turned = slots.filter { $0.preconditioner != nil }.sorted { $0.count > $1.count }
    guard !turned.isEmpty else { return }
    parallelLinearAlgebra { part, parts in
      for index in stride(from: part, to: turned.count, by: parts) {
        let slot = turned[index]
        if let mask = slot.mask?.floats {
          for i in 0..<slot.count { slot.gradient[i] *= mask[i] }
        }
        slot.preconditioner?.apply(to: slot.gradient)
      }
    }
  }

  /// Makes zeros of weights that masks keep at zero, whoever has set them.
  package func applyMasks() {
    for slot in slots { Self.applyMask(slot, 0..<slot.count) }
  }

  private static func applyMask(_ slot: Slot, _ range: Range<Int>) {
    guard let mask = slot.mask?.floats else { return }
    let (w, v) = (slot.weights, slot.velocity.floats)
    for i in range {
      w[i] *= mask[i]
      v[i] *= mask[i]
    }
  }
}
