import Foundation
package import NapGraph
package import NapTensor

/// The decision of a gate that is being trained: 1 where `x` is larger than 0, 0 elsewhere, after noise was
/// added to it. Stands in no file: `Greater` is what becomes of it.
///
/// With noise, what is near 0 is sometimes open and sometimes closed, so that the network around it learns which of
/// the two it wants, and moves `x` away from 0: without it, ResNet-20 is right in 87.2 % of held-out images instead of
/// 89.3. Noise is logistic: a unit is open with `probability(x)`, whose slope is what gradients feel.
///
/// - Shapes: `x` any; `draw [2]`: a number that differs by step, and what noise is multiplied by.
/// - Source: Maddison et al. 2017, arXiv:1611.00712; Jang et al. 2017, arXiv:1611.01144.
package struct DrawnDecision: Operator {
  package static let name = "DrawnDecision"

  /// How large noise is: the smaller, the larger the steps of what computes `x`.
  package static let temperature: Float = 0.1

  /// That a unit is open.
  package static func probability(_ x: Float) -> Float { 1 / (1 + exp(-x / temperature)) }

  /// The derivative of `probability`.
  package static func slope(_ x: Float) -> Float {
    let p = probability(x)
    return p * (1 - p) / temperature
  }

  /// Of this gate's noise.
  package var seed: UInt64

  package init(seed: Seed) { self.seed = seed.value }

  package static func importing(_ node: NodeDescription) throws(OperatorError) -> ImportedOperator {
    throw OperatorError("\(name) stands in no file")
  }

  package func exported() -> ExportedOperator { ExportedOperator(name) }

  package func infer(_ inputs: [[Int]]) throws(OperatorError) -> [[Int]] {
    try inputs.check(count: 2)
    return [inputs[0]]
  }

  package func link(_ links: inout IndexLinks) { links.uniteAxes() }

  /// `x` with noise.
  private func noisy(_ inputs: [Tensor]) -> [Float] {
    let (step, size) = (inputs[1].floats[0], inputs[1].floats[1])
    guard size > 0 else { return inputs[0].floats }
    var generator = Seed(seed).derived(Int(step)).generator()
    return inputs[0].floats.map { x in
      let u = min(max(generator.uniform(), 1e-6), 1 - 1e-6)
      return x + Self.temperature * size * log(u / (1 - u))
    }
  }

  package func forward(_ inputs: [Tensor]) -> [Tensor] {
    [Tensor(shape: inputs[0].shape, floats: noisy(inputs).map { $0 > 0 ? 1 : 0 })]
  }

  package func pullback(_ inputs: [Tensor], _ outputs: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]
  {
    let gradients = zip(inputs[0].floats, cotangents[0].floats).map { x, dy in
      dy * Self.slope(x)
    }
    return [Tensor(shape: inputs[0].shape, floats: gradients), nil]
  }
}
