import Foundation
import NapKit
import NapTensor

/// Finds out before hours of work whether the result can be written.
enum OutputPath {
  static func check(_ path: String, unlike input: String? = nil) throws {
    let url = URL(fileURLWithPath: path)
    let folder = url.deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue
    else {
      throw OutputError(
        "cannot write '\(path)': the folder '\(folder)' does not exist", recovery: "create it first"
      )
    }
    guard
      !FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) || !isFolder.boolValue
    else {
      throw OutputError(
        "cannot write '\(path)': it is a folder", recovery: "give the name of a file")
    }
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw OutputError(
        "cannot write '\(path)': no permission to write to '\(folder)'", recovery: nil)
    }
    if let input, URL(fileURLWithPath: input).standardizedFileURL == url.standardizedFileURL {
      throw OutputError(
        "'\(path)' is the input as well as the output", recovery: "give another name for the output"
      )
    }
  }
}

struct OutputError: NapTensor.RecoverableError {
  let problem: String
  let recovery: String?

  init(_ problem: String, recovery: String?) {
    self.problem = problem
    self.recovery = recovery
  }
}
