import NapKernels
import NapTensor

/// How far a network's outputs are from a teacher's, whatever they mean: what is trained on, and
/// measured, where there are no labels.
///
/// Outputs `[N, K]` are taken for logits: `T² KL(q_T ‖ p_T)` and whether the largest agrees. Of other
/// outputs it is the squared error in units of the teacher's variance over the example, and the share
/// of that variance that is explained.
package struct Imitation: Sendable {
  package var temperature: Float

  package init(temperature: Float = 4) { self.temperature = temperature }

  /// One output of both networks, dense.
  package struct Output {
    package var shape: [Int]
    package var student: UnsafePointer<Float>
    package var teacher: UnsafePointer<Float>
    /// Receives the gradient of the mean over the batch.
    package var gradient: UnsafeMutablePointer<Float>?

    package init(
      shape: [Int], student: UnsafePointer<Float>, teacher: UnsafePointer<Float>,
      gradient: UnsafeMutablePointer<Float>? = nil
    ) {
      self.shape = shape
      self.student = student
      self.teacher = teacher
      self.gradient = gradient
    }
  }

  /// Loss and agreement of the first `count` examples, averaged over the outputs.
  package func evaluate(_ outputs: [Output], count: Int) -> LossSum {
    var sum = LossSum()
    for output in outputs {
      let part =
        areLogits(output.shape) ? logits(output, count) : squaredError(output, count)
      sum.loss += part.loss / Double(outputs.count)
      sum.correct += part.correct / Double(outputs.count)
    }
    sum.count = count
    return sum
  }

  private func logits(_ output: Output, _ count: Int) -> LossSum {
    let classes = output.shape[1]
    let labels = (0..<count).map { argmax(output.teacher + $0 * classes, classes) }
    return CrossEntropy(teacherWeight: 1, temperature: temperature).evaluate(
      logits: output.student, labels: labels, classes: classes, teacher: output.teacher,
      gradient: output.gradient)
  }

  private func squaredError(_ output: Output, _ count: Int) -> LossSum {
    let size = output.shape.dropFirst().product
    var sum = LossSum()
    for n in 0..<count {
      let (y, t) = (output.student + n * size, output.teacher + n * size)
      var mean: Float = 0
      for i in 0..<size { mean += t[i] }
      mean /= Float(max(1, size))
      var (variance, error): (Float, Float) = (0, 0)
      for i in 0..<size {
        variance += (t[i] - mean) * (t[i] - mean)
        error += (y[i] - t[i]) * (y[i] - t[i])
      }
      let scale = 1 / max(variance, 1e-12)
      if let gradient = output.gradient {
        let factor = scale / Float(max(1, count))
        let g = gradient + n * size
        for i in 0..<size { g[i] = factor * (y[i] - t[i]) }
      }
      sum.loss += Double(0.5 * scale * error)
      sum.correct += max(0, 1 - Double(scale * error))
    }
    return sum
  }
}
