import NapOutputs
import NapTestSupport
import NapTraining
import Testing

@Suite struct ObjectiveTests {
  private static let objectives = [
    Objective(), Objective(labelSmoothing: 0.1),
    Objective(labelSmoothing: 0.1, teacherWeight: 0.7, temperature: 3),
    Objective(teacherWeight: 1, temperature: 2),
  ]
  private static let outputs = Outputs(guessing: [[2, 3]])

  /// The mean over two examples of three classes, of labels 2 and 0.
  private func value(
    _ objective: Objective, _ logits: [Float], _ teacher: [Float],
    gradient: UnsafeMutablePointer<Float>? = nil
  ) -> Double {
    let labels: [Float] = [2, 0]
    return logits.withUnsafeBufferPointer { logits in
      teacher.withUnsafeBufferPointer { teacher in
        labels.withUnsafeBufferPointer { labels in
          guard let y = logits.baseAddress, let t = teacher.baseAddress,
            let l = labels.baseAddress
          else { return .nan }
          return objective.losses(
            of: [y], Self.outputs, targets: [l], teacher: [t], count: 2,
            gradients: gradient.map { [$0] } ?? []
          ).reduce(0, +) / 2
        }
      }
    }
  }

  @Test(arguments: objectives.indices)
  func gradientsAgreeWithFiniteDifferences(_ index: Int) {
    let objective = Self.objectives[index]
    let logits: [Float] = [0.3, -1.2, 2, 0.1, 0.4, -0.5]
    let teacher: [Float] = [1, 0, -1, 0.2, 0.6, 0.1]
    var gradient = [Float](repeating: 0, count: 6)
    _ = value(objective, logits, teacher, gradient: &gradient)
    for i in logits.indices {
      var (above, below) = (logits, logits)
      above[i] += 0.01
      below[i] -= 0.01
      let slope = (value(objective, above, teacher) - value(objective, below, teacher)) / 0.02
      #expect(abs(Double(gradient[i]) - slope) < 1e-3)
    }
  }

  @Test func theTeachersOwnLogitsCostNothing() {
    let logits: [Float] = [0.3, -1.2, 2, 1, 0, 0]
    #expect(abs(value(Objective(teacherWeight: 1, temperature: 4), logits, logits)) < 1e-6)
  }

  @Test func schedulesBeginAtOneAndEndLow() {
    for schedule in Schedule.allCases {
      #expect(schedule.factor(at: 0) == 1)
      #expect(schedule.factor(at: 1) <= 0.01)
      #expect(schedule.factor(at: 0.05, warmup: 0.1) == 0.5)
    }
  }
}
