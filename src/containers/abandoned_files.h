// SPDX-License-Identifier: Apache-2.0
//
// What jobs leave that were killed.
#pragma once

#include <string>

namespace quarrow {

// Removes the temporaries in a folder whose writers are gone, and puts back the sets of files whose
// replacement was cut short. Never fails: what cannot be told for abandoned stays, and so does what
// cannot be removed.
void remove_abandoned_files(const std::string& folder) noexcept;

}  // namespace quarrow
