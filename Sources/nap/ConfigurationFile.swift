import ArgumentParser
import Foundation
import NapKit
import NapTensor
import Yams

/// Settings from a file: the long names of a command's options with their values, in YAML. What is given on the
/// command line wins.
struct ConfigurationFile {
  /// What a command can be given.
  private struct Option {
    var name: String
    /// All its names, with hyphens.
    var names: Set<String>
    var isFlag: Bool
    var isRepeating: Bool
    var isPositional: Bool
    var standard: String?
  }

  private let options: [Option]

  /// The arguments of a command with those of its file, where it names one.
  ///
  /// - Throws: `UsageError` for files that cannot be read, and keys that are none.
  static func expanded(_ arguments: [String]) throws -> [String] {
    guard arguments.contains(where: { $0 == "--config" || $0.hasPrefix("--config=") }),
      let command = arguments.first, let options = options(of: command)
    else { return arguments }
    var arguments = arguments
    var files: [String] = []
    while let index = arguments.firstIndex(where: { $0 == "--config" || $0.hasPrefix("--config=") })
    {
      let argument = arguments.remove(at: index)
      if argument == "--config" {
        guard index < arguments.count else {
          throw UsageError("--config needs a file", recovery: nil)
        }
        files.append(arguments.remove(at: index))
      } else {
        files.append(String(argument.dropFirst("--config=".count)))
      }
    }
    let configuration = ConfigurationFile(options: options)
    for file in files { try configuration.add(file, to: &arguments) }
    return arguments
  }

  /// What is in force, as such a file: what is given, and what nap takes where nothing is.
  static func printed(_ arguments: [String]) throws -> String? {
    guard let index = arguments.firstIndex(of: "--print-config"), let command = arguments.first,
      let options = options(of: command)
    else { return nil }
    var arguments = arguments
    arguments.remove(at: index)
    // Wrong usage is an error here too.
    _ = try Nap.parseAsRoot(arguments)
    let lines = try options.compactMap { option in
      let given = Self.values(of: option, in: Array(arguments.dropFirst()), options)
      let value: String? =
        option.isFlag
        ? given.first.map { $0.hasPrefix("--no-") ? "false" : "true" } ?? option.standard
        : option.isRepeating && !given.isEmpty
          ? try Yams.serialize(node: Node(given.map { Node($0) }, .implicit, .flow))
            .trimmingCharacters(in: .newlines)
          : try (given.last ?? option.standard).map {
            try Yams.serialize(node: Node($0)).trimmingCharacters(in: .newlines)
          }
      return value.map { "\(option.name): \($0)" }
    }
    return (["# nap \(command)"] + lines).joined(separator: "\n")
  }

  /// By long names, what is in force as text; lists are separated by commas.
  static func settings(of arguments: [String]) -> [String: String] {
    guard let command = arguments.first, let options = options(of: command) else { return [:] }
    var settings: [String: String] = [:]
    for option in options {
      let given = values(of: option, in: Array(arguments.dropFirst()), options)
      settings[option.name] =
        option.isFlag
        ? given.first.map { $0.hasPrefix("--no-") ? "false" : "true" } ?? option.standard
        : given.isEmpty ? option.standard : given.joined(separator: ",")
    }
    return settings
  }

  private func add(_ file: String, to arguments: inout [String]) throws {
    guard let data = FileManager.default.contents(atPath: file) else {
      throw UsageError("the settings '\(file)' cannot be read")
    }
    guard data.count <= 1 << 20 else {
      throw UsageError(
        "'\(file)' is too large for settings", recovery: "give a file of options and values")
    }
    let node: Node?
    do {
      node = try Yams.compose(yaml: String(decoding: data, as: UTF8.self))
    } catch {
      throw UsageError("'\(file)' is not valid YAML: \(Self.firstLine(of: error))")
    }
    guard let node else { return }
    guard let mapping = node.mapping else {
      throw UsageError(
        "'\(file)' does not hold options with values", recovery: "write lines such as 'macs: 0.5'")
    }
    var added: [String] = []
    for (key, value) in mapping {
      let name = key.string ?? ""
      guard let option = options.first(where: { $0.name == name }) else {
        throw UsageError(noSuch: "option", name, of: options.map(\.name))
      }
      guard Self.values(of: option, in: Array(arguments.dropFirst()), options).isEmpty else {
        continue
      }
      added += try Self.arguments(option, value, file)
    }
    arguments.insert(contentsOf: added, at: 1)
  }

  private static func arguments(_ option: Option, _ value: Node, _ file: String) throws -> [String]
  {
    let wrong = UsageError(
      "'\(file)' gives '\(option.name)' a value that it cannot have",
      recovery: option.isFlag ? "write true or false" : "write a number or a text")
    if option.isFlag {
      guard let isOn = value.bool else { throw wrong }
      if isOn { return ["--\(option.name)"] }
      return option.names.contains("--no-\(option.name)") ? ["--no-\(option.name)"] : []
    }
    let values = value.sequence.map { Array($0) } ?? [value]
    guard values.count == 1 || option.isRepeating else { throw wrong }
    return try values.flatMap { value in
      guard let text = value.scalar?.string else { throw wrong }
      return option.isPositional ? [text] : ["--\(option.name)=\(text)"]
    }
  }

  /// What the arguments of a command say of one of its options; a flag says the name that it was given by.
  private static func values(of option: Option, in arguments: [String], _ all: [Option]) -> [String]
  {
    var (values, positional): ([String], [String]) = ([], [])
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      guard argument.hasPrefix("-"), argument.count > 1 else {
        positional.append(argument)
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard let given = all.first(where: { $0.names.contains(parts[0]) }) else { continue }
      var value = parts[0]
      if !given.isFlag {
        value = parts.count > 1 ? parts[1] : index < arguments.count ? arguments[index] : ""
        if parts.count == 1 { index += 1 }
      }
      if given.name == option.name { values.append(value) }
    }
    return option.isPositional ? positional : values
  }

  private static func firstLine(of error: any Error) -> String {
    "\(error)".split(separator: "\n").first.map(String.init) ?? ""
  }

  // MARK: What there is
  private struct Tool: Decodable {
    struct Command: Decodable {
      var commandName: String
      var subcommands: [Command]?
      var arguments: [Argument]?
    }
    struct Argument: Decodable {
      struct Name: Decodable {
        var kind: String
        var name: String
      }
      var kind: String
      var isRepeating: Bool
      var names: [Name]?
      var valueName: String?
      var defaultValue: String?
    }
    var command: Command
  }

  /// `nil` where there is no such command.
  private static func options(of command: String) -> [Option]? {
    let tool = try? JSONDecoder().decode(Tool.self, from: Data(Nap._dumpHelp().utf8))
    let command = tool?.command.subcommands?.first { $0.commandName == command }
    guard let found = command?.arguments?.compactMap(Self.option) else { return nil }
    // A flag and what takes it back are one setting.
    return found.filter { option in
      !(option.isFlag && found.contains { $0.isFlag && "no-\($0.name)" == option.name })
    }.map { option in
      var option = option
      if option.isFlag, found.contains(where: { $0.name == "no-\(option.name)" }) {
        option.names.insert("--no-\(option.name)")
      }
      return option
    }
  }

  private static func option(_ argument: Tool.Argument) -> Option? {
    let names = argument.names ?? []
    let long = names.first { $0.kind == "long" }?.name
    let isPositional = argument.kind == "positional"
    guard let name = long ?? (isPositional ? argument.valueName : nil),
      !["help", "version", "config", "print-config"].contains(name)
    else { return nil }
    let isFlag = argument.kind == "flag"
    return Option(
      name: name, names: Set(names.map { ($0.kind == "long" ? "--" : "-") + $0.name }),
      isFlag: isFlag, isRepeating: argument.isRepeating, isPositional: isPositional,
      // Of flags it is the name that stands for it.
      standard: isFlag
        ? argument.defaultValue.map { $0.hasPrefix("--no-") || $0 == "false" ? "false" : "true" }
        : argument.defaultValue)
  }
}
