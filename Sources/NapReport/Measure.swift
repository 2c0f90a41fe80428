/// What the percentages of a report are.
public enum Measure: String, Codable, Sendable, CaseIterable {
  /// The share of examples, or of their pixels or tokens, whose largest logit is what the label says; of yes
  /// and no, of right answers.
  case accuracy
  /// Intersection over union, the mean over the classes of pixels.
  case meanIoU = "mean IoU"
  /// Intersection over union of a mask.
  case iou = "IoU"
  /// The harmonic mean of precision and recall over all labels.
  case f1 = "F1"
  /// How much of the targets' variance is explained, the mean over the channels.
  case r2 = "R²"
  /// The mean of what several outputs are judged by.
  case score
  /// How far the worst output agrees with another network's, see `OutputReport`.
  case agreement

  /// As a sentence begins.
  var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }

  public init(isLabelled: Bool) { self = isLabelled ? .accuracy : .agreement }
}
