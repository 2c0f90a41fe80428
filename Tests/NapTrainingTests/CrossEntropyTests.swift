import NapTestSupport
import NapTraining
import Testing

@Suite struct CrossEntropyTests {
  private static let losses = [
    CrossEntropy(), CrossEntropy(labelSmoothing: 0.1),
    CrossEntropy(labelSmoothing: 0.1, teacherWeight: 0.7, temperature: 3),
    CrossEntropy(teacherWeight: 1, temperature: 2),
  ]

  @Test(arguments: losses.indices)
  func gradientsAgreeWithFiniteDifferences(_ index: Int) {
    let loss = Self.losses[index]
    let logits: [Float] = [0.3, -1.2, 2, 0.1, 0.4, -0.5]
    let teacher: [Float] = [1, 0, -1, 0.2, 0.6, 0.1]
    let labels = [2, 0]
    func value(_ logits: [Float]) -> Double {
      loss.evaluate(logits: logits, labels: labels, classes: 3, teacher: teacher).meanLoss
    }
    var gradient = [Float](repeating: 0, count: 6)
    _ = loss.evaluate(
      logits: logits, labels: labels, classes: 3, teacher: teacher, gradient: &gradient)
    for i in logits.indices {
      var (above, below) = (logits, logits)
      above[i] += 0.01
      below[i] -= 0.01
      #expect(abs(Double(gradient[i]) - (value(above) - value(below)) / 0.02) < 1e-3)
    }
  }

  @Test func theTeachersOwnLogitsCostNothing() {
    let logits: [Float] = [0.3, -1.2, 2]
    let loss = CrossEntropy(teacherWeight: 1, temperature: 4)
    let sum = loss.evaluate(logits: logits, labels: [0], classes: 3, teacher: logits)
    #expect(abs(sum.loss) < 1e-6)
    #expect(sum.correct == 0)
  }

  @Test func schedulesBeginAtOneAndEndLow() {
    for schedule in Schedule.allCases {
      #expect(schedule.factor(at: 0) == 1)
      #expect(schedule.factor(at: 1) <= 0.01)
      #expect(schedule.factor(at: 0.05, warmup: 0.1) == 0.5)
    }
  }
}
