/// An error caused by a file or a user: a fact and, where there is one, what to do next.
///
/// Sentences are lower case without a final period; the command line adds what frames them.
package protocol RecoverableError: Error, CustomStringConvertible {
  /// What is wrong, in one sentence that names the file, node or option.
  var problem: String { get }
  /// What the user can do about it.
  var recovery: String? { get }
}

extension RecoverableError {
  package var recovery: String? { nil }
  package var description: String { (recovery.map { "\(problem); \($0)" } ?? problem).printable }
}
