package import NapCurvature
import NapGraph

/// Filters do the same that correlate over training images: what maximized activations have to beat.
package struct FunctionalityCorrelation: FunctionalCriterion {
  package static let name = "functionality-correlation"
  package static let summary = "the same, by correlation over training images (for reference)"
  package static let similarity = FunctionSimilarity.correlation

  package init() {}
}
