import NapKernels
package import NapTensor

/// What all outputs of a network are.
package struct Outputs: Sendable {
  package private(set) var meanings: [OutputMeaning]

  package init(_ meanings: [OutputMeaning]) { self.meanings = meanings }

  /// Makes several outputs or parts comparable: each counts in units of what saying the same of every
  /// example costs.
  ///
  /// - Parameters:
  ///   - samples: of every output.
  ///   - temperatures: at which losses and curvature will be asked for.
  package mutating func balance(by samples: [OutputSamples], temperatures: [Float]) {
    guard meanings.count > 1 || meanings.contains(where: { $0.parts.count > 1 }) else { return }
    for index in meanings.indices {
      meanings[index].balance(by: samples[index], temperatures: temperatures)
    }
  }

  /// Guessed from shapes alone: `[N, K]` are logits, others are numbers of spread 1.
  package init(guessing shapes: [[Int]]) {
    meanings = shapes.enumerated().map { index, shape in
      let sizes = Array(shape.dropFirst())
      let (isVector, count) = (sizes.count == 1, sizes.first ?? 1)
      let kind: any OutputKind =
        isVector && count > 1
        ? Logits() : Numbers(scales: [Float](repeating: 1, count: count))
      var meaning = OutputMeaning(
        name: "output \(index)", shape: sizes, axis: 0, kinds: [(0..<count, kind)],
        reason: "by its shape")
      if isVector && count > 1, shapes.count == 1 {
        meaning.task = (Classes(isMap: false), (0, 1))
      }
      return meaning
    }
  }

  /// Whether targets say what is to be learned.
  package var areLearned: Bool { meanings.contains { $0.task != nil } }

  /// Whether it is a classifier: one output, logits of one example.
  package var isClassifier: Bool {
    meanings.count == 1 && meanings[0].parts.count == 1 && meanings[0].parts[0].kind is Logits
      && meanings[0].shape.count == 1
  }

  /// What the numbers of the only output say about classes, along which of an example's axes; `nil` of others.
  package var distribution: (distribution: Distribution, axis: Int)? {
    guard meanings.count == 1, meanings[0].parts.count == 1, !meanings[0].shape.isEmpty else {
      return nil
    }
    return type(of: meanings[0].parts[0].kind).distribution.map { ($0, meanings[0].axis) }
  }

  /// How much a part counts among all.
  private func share(_ meaning: OutputMeaning) -> Double {
    let total = meanings.reduce(0) { $0 + $1.share }
    return meaning.share / max(total, .leastNormalMagnitude) / Double(meaning.parts.count)
  }
}

// MARK: Losses
extension Outputs {
  /// The loss of every example, towards what another network says.
  ///
  /// - Parameters:
  ///   - outputs, targets: dense, `[batch, …]`, one of each output.
  ///   - gradients: receive the derivatives of the mean over the `count` examples.
  package func losses(
    of outputs: [UnsafePointer<Float>], towards targets: [UnsafePointer<Float>], count: Int,
    temperature: Float, gradients: [UnsafeMutablePointer<Float>] = []
  ) -> [Double] {
    var losses = [Double](repeating: 0, count: count)
    for (k, meaning) in meanings.enumerated() {
      let size = meaning.size
      for part in meaning.parts {
        let weight = share(meaning) * part.weight(temperature)
        let factor = Float(weight / Double(max(1, count)))
        Self.add(to: &losses, numbers: part.place.count) { n in
          let gradient = gradients.isEmpty ? nil : gradients[k] + n * size
          return weight
            * part.kind.loss(
              of: outputs[k] + n * size, towards: targets[k] + n * size, at: part.place,
              temperature: temperature, gradient: gradient, factor: factor)
        }
      }
    }
    return losses
  }

  /// The loss of every example, towards its targets, and towards what another network says where there is
  /// one: `1 - w` and `w` times each. Of outputs without a task, the other network alone says what is right.
  ///
  /// - Parameters:
  ///   - outputs: dense, `[batch, …]`, one of each output.
  ///   - targets: dense, `[batch, …]`, in the order of the data set.
  ///   - teacher: what the other network says, as `outputs`; `nil` where there is none.
  ///   - gradients: receive the derivatives of the mean over the `count` examples.
  package func losses(
    of outputs: [UnsafePointer<Float>], learning targets: [UnsafePointer<Float>],
    teacher: [UnsafePointer<Float>]?, teacherWeight: Float, temperature: Float,
    smoothing: Float = 0, count: Int, gradients: [UnsafeMutablePointer<Float>] = []
  ) -> [Double] {
    var losses = [Double](repeating: 0, count: count)
    for (k, meaning) in meanings.enumerated() {
      let (size, share) = (meaning.size, share(meaning) * Double(meaning.parts.count))
      let soft = teacher == nil ? 0 : meaning.task == nil ? 1 : Double(teacherWeight)
      Self.add(to: &losses, numbers: size) { n in
        let gradient = gradients.isEmpty ? nil : gradients[k] + n * size
        gradient?.update(repeating: 0, count: size)
        var loss = 0.0
        if let teacher, soft > 0 {
          for part in meaning.parts {
            let weight = soft * self.share(meaning) * part.weight(temperature)
            loss +=
              weight
              * part.kind.loss(
                of: outputs[k] + n * size, towards: teacher[k] + n * size, at: part.place,
                temperature: temperature, gradient: gradient,
                factor: Float(weight / Double(max(1, count))))
          }
        }
        guard let (task, target) = meaning.task, soft < 1 else { return loss }
        let weight = (1 - soft) * share
        return loss + weight
          * task.loss(
            of: outputs[k] + n * size, towards: targets[target.index] + n * target.size,
            at: meaning.parts[0].place, smoothing: smoothing, gradient: gradient,
            factor: Float(weight / Double(max(1, count))))
      }
    }
    return losses
  }

  /// Adds to every example's loss, with as many threads as that is worth.
  ///
  /// - Parameter numbers: of one example.
  private static func add(
    to losses: inout [Double], numbers: Int, _ loss: (_ example: Int) -> Double
  ) {
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      let count = losses.count
      if count * numbers < fewNumbers {
        for n in 0..<count { losses[n] += loss(n) }
      } else {
        parallel { index, parts in
          for n in stride(from: index, to: count, by: parts) { losses[n] += loss(n) }
        }
      }
    }
  }

  /// Writes the gradient of every example's own loss towards its targets.
  ///
  /// - Parameter weights: what the examples count; 1 where empty. As gradients are squared, they are
  ///   multiplied by the root.
  package func writeTargetGradients(
    of outputs: [UnsafePointer<Float>], learning targets: [UnsafePointer<Float>],
    into gradients: [UnsafeMutablePointer<Float>], count: Int, weights: [Double]
  ) {
    for (k, meaning) in meanings.enumerated() {
      gradients[k].update(repeating: 0, count: count * meaning.size)
      guard let (task, target) = meaning.task else { continue }
      for n in 0..<count {
        let factor = (weights.isEmpty ? 1 : weights[n]).squareRoot()
        _ = task.loss(
          of: outputs[k] + n * meaning.size, towards: targets[target.index] + n * target.size,
          at: meaning.parts[0].place, smoothing: 0, gradient: gradients[k] + n * meaning.size,
          factor: Float(factor * share(meaning)))
      }
    }
  }

  /// Below, one thread alone is faster.
  private static let fewNumbers = 1 << 15

  /// Writes for every example a random gradient whose second moment is the curvature of its loss.
  ///
  /// - Parameter weights: what the examples count; 1 where empty. As gradients are squared, they are
  ///   multiplied by the root.
  package func writeCotangents(
    of outputs: [UnsafePointer<Float>], into gradients: [UnsafeMutablePointer<Float>], count: Int,
    temperature: Float, weights: [Double], signs: inout SplitMix64
  ) {
    for (k, meaning) in meanings.enumerated() {
      for part in meaning.parts {
        let weight = share(meaning) * part.weight(temperature)
        for n in 0..<count {
          let factor = (weight * (weights.isEmpty ? 1 : weights[n])).squareRoot()
          part.kind.writeCotangent(
            of: outputs[k] + n * meaning.size, into: gradients[k] + n * meaning.size,
            at: part.place, temperature: temperature, factor: Float(factor), signs: &signs)
        }
      }
    }
  }

  /// How much an example has to say: the trace of its curvature in the logits; 0 at least.
  package func doubt(of outputs: [UnsafePointer<Float>], example n: Int, temperature: Float)
    -> Double
  {
    meanings.enumerated().reduce(1e-12) { sum, entry in
      let (k, meaning) = entry
      return meaning.parts.reduce(sum) { sum, part in
        sum + share(meaning) * part.weight(temperature)
          * max(
            0,
            part.kind.doubt(
              of: outputs[k] + n * meaning.size, at: part.place, temperature: temperature))
      }
    }
  }

  /// Whether examples differ in what they have to say.
  package var hasDoubts: Bool {
    meanings.contains { $0.parts.contains { !($0.kind is Numbers) && !($0.kind is UnitVectors) } }
  }
}
