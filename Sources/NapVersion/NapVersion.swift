/// The commit that was built, with a plus where files were changed; empty where it is not known.
package var builtCommit: String { stampedCommit }
