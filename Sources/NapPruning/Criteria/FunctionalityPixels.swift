package import NapCurvature
import NapGraph

/// Filters do the same whose images are alike, pixel by pixel, as published.
package struct FunctionalityPixels: FunctionalCriterion {
  package static let name = "functionality-pixels"
  package static let summary = "the same, by the images that filters answer most to (as published)"
  package static let similarity = FunctionSimilarity.pixels

  package init() {}
}
