package import Foundation
import NapTensor

extension Arrays {
  /// Floats are taken as they are; bytes may be anything.
  package static func preset(of file: URL) -> String? {
    let data = Split.allCases.lazy.compactMap { try? open(file, split: $0, for: DataRequest()) }.first
    return data?.isOfNumbers ?? true ? "plain" : nil
  }
}
