/// The widths that NAP's ranking of all channels leaves, for channels that another criterion chooses.
///
/// - Source: Zeng & Urtasun 2021, arXiv:2101.06608.
package struct NAPWidths: Allocator {
  package static let name = "nap"
  package static let summary = "as wide as the criterion nap leaves layers, whatever the criterion"
  package static let variants: [(name: String, summary: String)] = []

  package init(variant: String, _ settings: AllocatorSettings) {}

  package func widths(for problem: AllocationProblem) throws -> [Int] {
    let widths = try problem.evidence.rankedWidths(downTo: problem.budget)
    guard problem.space.cost(of: widths) <= problem.budget else { throw AllocationError() }
    return widths
  }
}
