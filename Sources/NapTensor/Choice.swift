/// The answer to a name that is none of those there are: which comes near, and which there are.
///
/// - Parameters:
///   - what: such as `criterion`.
///   - names: in the order they are listed.
/// - Returns: such as `there is no criterion 'tailor'` and `did you mean taylor? There are nap, taylor`.
package func noSuch(_ what: String, _ name: String, of names: [String]) -> (
  problem: String, recovery: String
) {
  let list = names.joined(separator: ", ")
  let choice = "choose one of \(list)"
  return (
    "there is no \(what) '\(name)'",
    name.nearest(of: names).map { "did you mean \($0)? Or \(choice)" } ?? choice
  )
}

extension String {
  /// The name that this one is a slip of the fingers for.
  package func nearest(of names: [String]) -> String? {
    let near = names.map { (name: $0, distance: distance(to: $0)) }
      .min { $0.distance < $1.distance }
    guard let near, near.distance <= Swift.max(1, Swift.min(count, near.name.count) / 3) else {
      return nil
    }
    return near.name
  }

  /// Characters to insert, remove, replace, or swap with their neighbour.
  ///
  /// - Source: Damerau 1964, doi:10.1145/363958.363994, in the restricted form.
  private func distance(to other: String) -> Int {
    let (a, b) = (Array(lowercased()), Array(other.lowercased()))
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var least = Swift.min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          least = Swift.min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
