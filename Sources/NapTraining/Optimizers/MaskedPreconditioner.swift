import NapKernels

/// Turns the gradient of a weight of which some elements stay zero: `[A_SS]⁻¹ g_S / G_ii`, row by row,
/// with `S` the inputs that row `i` still reads.
///
/// The inverse of the whole curvature counts on elements that may not move. Of the decrease that one
/// step of a ResNet-56 could bring at 90 % zeros, it gets 23 %, this one 99 %, although it takes outputs
/// for uncorrelated (medians over layers; in the last block 4 and 54 %).
package final class MaskedPreconditioner: Preconditioner {
  /// What a row still reads of one block of inputs.
  private struct System {
    let group: Int
    let row: Int
    let block: Int
    /// Of the block, counted from where it begins.
    let columns: [Int]
    /// Places of these elements in the weight.
    let places: [Int]
    /// Where its inverse begins.
    let inverse: Int
  }

  package let count: Int
  private let systems: [System]
  private let inverses: AlignedBuffer
  /// Of one system.
  private let turned: AlignedBuffer

  /// `nil` where so much is left that the inverses would take much more memory than the weight, or
  /// where the curvature is not positive definite.
  package init?(_ curvature: KroneckerCurvature, mask: [Bool]) {
    count = curvature.count
    precondition(mask.count == count)
    var systems: [System] = []
    var size = 0
    for (g, group) in curvature.groups.enumerated() {
      for i in 0..<group.outputs.rows {
        for block in group.inputs.blocks.indices {
          let range = group.inputs.range(block)
          let left = range.filter { mask[curvature.place(group: g, row: i, column: $0)] }
          systems.append(
            System(
              group: g, row: i, block: block, columns: left.map { $0 - range.lowerBound },
              places: left.map { curvature.place(group: g, row: i, column: $0) }, inverse: size))
          size += left.count * left.count
          guard size <= Self.mostNumbers * count else { return nil }
        }
      }
    }
    self.systems = systems
    turned = AlignedBuffer(bytes: 4 * max(1, systems.map(\.places.count).max() ?? 1))
    inverses = AlignedBuffer(bytes: 4 * max(1, size))
    guard Self.invert(systems, of: curvature, into: inverses.floats) else { return nil }
  }

  /// Whether all could be inverted.
  private static func invert(
    _ systems: [System], of curvature: KroneckerCurvature,
    into inverses: UnsafeMutablePointer<Float>
  ) -> Bool {
    let failures = AlignedBuffer(bytes: 4 * systems.count)
    nonisolated(unsafe) let (inverses, failed) = (inverses, failures.floats)
    parallelLinearAlgebra { part, parts in
      for index in stride(from: part, to: systems.count, by: parts) {
        let system = systems[index]
        let group = curvature.groups[system.group]
        let output = group.outputs[system.row, system.row]
        let inputs = group.inputs.blocks[system.block]
          .selecting(rows: system.columns, columns: system.columns)
        guard output > 0, let inverse = inputs.inverseOfPositiveDefinite else {
          failed[index] = 1
          continue
        }
        for (k, element) in inverse.elements.enumerated() {
          inverses[system.inverse + k] = Float(element / output)
        }
      }
    }
    return systems.indices.allSatisfy { failed[$0] == 0 }
  }

  /// In inverses, for every element of the weight.
  private static let mostNumbers = 64

  /// - Parameter gradient: zero where the mask is false.
  package func apply(to gradient: UnsafeMutablePointer<Float>) {
    keepingLength(of: gradient) {
      for system in systems {
        let count = system.places.count
        let turned = turned.floats
        turned.update(repeating: 0, count: count)
        for (k, place) in system.places.enumerated() {
          // The inverse is symmetric: its rows are its columns.
          let column = inverses.floats + system.inverse + k * count
          let element = gradient[place]
          for i in 0..<count { turned[i] += element * column[i] }
        }
        for (k, place) in system.places.enumerated() { gradient[place] = turned[k] }
      }
    }
  }
}
