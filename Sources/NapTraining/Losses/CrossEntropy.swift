import NapKernels

/// What a batch cost.
package struct LossSum: Codable, Sendable {
  /// Sum over the examples, in nats.
  package var loss = 0.0
  /// Examples that are right; without labels, how much of each agrees with the teacher.
  package var correct = 0.0
  package var count = 0
  /// Of agreement, the standard error of the worst output's share of equal decisions; else 0.
  package var standardError = 0.0

  package init() {}

  package mutating func add(_ other: LossSum) {
    loss += other.loss
    correct += other.correct
    count += other.count
  }

  /// Mean over the examples, in nats.
  package var meanLoss: Double { count == 0 ? 0 : loss / Double(count) }
  /// In percent.
  package var accuracy: Double { count == 0 ? 0 : 100 * correct / Double(count) }
}

/// Softmax cross-entropy with label smoothing and, optionally, a teacher's soft targets.
///
/// The loss of an example is `(1 - w) H(y, p) + w T² KL(q_T ‖ p_T)`, where `y` is the smoothed label,
/// `p` the prediction, and `q_T`, `p_T` teacher and prediction at temperature `T`.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; Szegedy et al. 2016, arXiv:1512.00567.
package struct CrossEntropy: Sendable {
  /// Probability mass spread evenly over all classes, in `0..<1`.
  package var labelSmoothing: Float = 0
  /// The weight `w` of the teacher, in `0...1`.
  package var teacherWeight: Float = 0
  package var temperature: Float = 1

  package init(labelSmoothing: Float = 0, teacherWeight: Float = 0, temperature: Float = 1) {
    self.labelSmoothing = labelSmoothing
    self.teacherWeight = teacherWeight
    self.temperature = temperature
  }

  /// Loss and hits of a batch; writes the gradient of the batch *mean* loss unless it is `nil`.
  ///
  /// - Shapes: `logits`, `teacher` and `gradient` `[labels.count, classes]`, dense.
  package func evaluate(
    logits: UnsafePointer<Float>, labels: some Collection<Int>, classes: Int,
    teacher: UnsafePointer<Float>? = nil, gradient: UnsafeMutablePointer<Float>? = nil
  ) -> LossSum {
    var sum = LossSum()
    let scale = 1 / Float(max(1, labels.count))
    let soft = teacher == nil ? 0 : teacherWeight
    var p = [Float](repeating: 0, count: classes)
    var q = p
    for (n, label) in labels.enumerated() {
      let z = logits + n * classes
      let logSum = softmax(z, classes, temperature: 1, into: &p)
      let meanLogit = (0..<classes).reduce(Float(0)) { $0 + z[$1] } / Float(classes)
      let target = (1 - labelSmoothing) * z[label] + labelSmoothing * meanLogit
      var loss = (1 - soft) * (logSum - target)
      if let gradient {
        let g = gradient + n * classes
        let uniform = labelSmoothing / Float(classes)
        for k in 0..<classes { g[k] = (1 - soft) * scale * (p[k] - uniform) }
        g[label] -= (1 - soft) * scale * (1 - labelSmoothing)
      }
      if let teacher, soft > 0 {
        let t = teacher + n * classes
        let logQ = softmax(t, classes, temperature: temperature, into: &q)
        let logP = softmax(z, classes, temperature: temperature, into: &p)
        var divergence: Float = 0
        for k in 0..<classes {
          divergence += q[k] * ((t[k] - z[k]) / temperature - logQ + logP)
        }
        loss += soft * temperature * temperature * divergence
        if let gradient {
          let g = gradient + n * classes
          for k in 0..<classes { g[k] += soft * scale * temperature * (p[k] - q[k]) }
        }
      }
      if loss.isFinite, argmax(z, classes) == label { sum.correct += 1 }
      sum.loss += Double(loss)
      sum.count += 1
    }
    return sum
  }
}
