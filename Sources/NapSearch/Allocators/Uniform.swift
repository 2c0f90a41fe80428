/// The same share of every set: the base line of every other way.
package struct Uniform: Allocator {
  package static let name = "uniform"
  package static let summary = "the same share of every layer (for reference)"
  package static let variants: [(name: String, summary: String)] = []

  package init(variant: String, _ settings: AllocatorSettings) {}

  package func widths(for problem: AllocationProblem) throws -> [Int] {
    try problem.scaled(problem.space.full.map { _ in 1 })
  }
}
