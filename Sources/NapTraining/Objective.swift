package import NapOutputs

/// What training minimizes: the loss towards the data's targets and, optionally, towards a teacher's soft
/// ones.
///
/// Of a classifier, the loss of an example is `(1 - w) H(y, p) + w T² KL(q_T ‖ p_T)`, where `y` is the
/// smoothed label, `p` the prediction, and `q_T`, `p_T` teacher and prediction at temperature `T`.
///
/// - Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; Szegedy et al. 2016, arXiv:1512.00567.
package struct Objective: Sendable {
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

  /// The loss of every example.
  ///
  /// - Parameters:
  ///   - said: by the network, dense, `[batch, …]`, one of each output.
  ///   - targets: likewise, in the order of the data set; without them, the teacher alone is right.
  ///   - gradients: receive the derivatives of the mean over the `count` examples.
  package func losses(
    of said: [UnsafePointer<Float>], _ outputs: Outputs, targets: [UnsafePointer<Float>],
    teacher: [UnsafePointer<Float>]?, count: Int, gradients: [UnsafeMutablePointer<Float>] = []
  ) -> [Double] {
    guard let teacher, targets.isEmpty || !outputs.areLearned else {
      return outputs.losses(
        of: said, learning: targets, teacher: teacher, teacherWeight: teacherWeight,
        temperature: temperature, smoothing: labelSmoothing, count: count, gradients: gradients)
    }
    return outputs.losses(
      of: said, towards: teacher, count: count, temperature: temperature, gradients: gradients)
  }
}
